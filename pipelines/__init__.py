"""The recipes, the stage protocol they are written in, the runner that executes them, and the LLM engines."""
