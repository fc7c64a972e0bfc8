"""Tests of the Python SDK, against the Obol server that OBOL_TEST_URL names. `npm test` starts one and runs them."""
