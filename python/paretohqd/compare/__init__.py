"""Methods of multi-objective alignment side by side, under the same tokens.

Experimental: a bench, not an API. What the YAML file of `paretohqd compare` may say is kept stable;
the modules here change with the methods.
"""
