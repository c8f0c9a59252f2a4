"""`synth report`: a page of chapters, each with figures that Vega-Lite draws."""
