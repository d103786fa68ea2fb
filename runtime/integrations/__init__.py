"""An encoder as other frameworks want it: an instance of their own classes.

One module for each: `langchain`, `chroma`, `llama_index`, `haystack`. Each needs its framework
installed, and nothing else imports it.
"""
