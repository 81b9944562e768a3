"""Models behind an address: the routes of OpenAI and vLLM, some of our own, and a page to look inside.

`app.create_app` makes the application, `run.serve` runs it; `routes.ROUTES` is all that is answered.
"""
