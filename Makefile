# make setup | demo | test | test-long | test-browser | lab | docs | bench | release-check | constraints | clean
# The steps are in tools/dev.py, which runs without make: python tools/dev.py demo
PYTHON ?= python3
COMMANDS := setup demo test test-long test-browser lab docs release-check constraints clean

.PHONY: $(COMMANDS) bench

$(COMMANDS):
	@$(PYTHON) tools/dev.py $@

bench:
	@$(PYTHON) tools/dev.py bench $(DATA) $(if $(ONLY),--only $(ONLY)) $(if $(ROWS),--rows $(ROWS))
