"""Running Python that nobody trusts: many programs, quickly, in jails that are tested before they are used."""
