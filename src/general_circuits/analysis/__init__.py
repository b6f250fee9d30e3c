"""Analysis: tables in, one number per replica out; intervals, censored times, variants of grokking. No torch."""
