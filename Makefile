# make          what there is to make
# make demo     install what is missing, start a private cluster, record, price, report
# make test     the same, and run every test
# make bench    measure writes and reports
# make install  into the PostgreSQL that pg_config names (PG_CONFIG=…)
# make clean    remove what the others built
.PHONY: help demo test bench install clean
PG_CONFIG ?= pg_config

help:
	@sed -n 's/^# //p' Makefile

demo test bench clean:
	@pgrx-config/$@

install:
	@pgrx-config/install "$(PG_CONFIG)"
