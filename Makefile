# make          what there is to make
# make demo     install what is missing, start a private cluster, record, price, report (HTTP=1: over HTTP, too)
# make test     the same, and run every test
# make torture  write, fold, read and kill the server for minutes (SECONDS=600), then months, hostile calls, hard days, pg_upgrade (PARTS=…)
# make matrix   build PostgreSQL 17 and 18 from Debian's sources, run every test on each (MAJORS=…), and pg_upgrade
# make bench    measure reports, the fold and writes
# make install  into the PostgreSQL that pg_config names (PG_CONFIG=…)
# make clean    remove what the others built
.PHONY: help demo test torture matrix bench install clean
PG_CONFIG ?= pg_config

help:
	@sed -n 's/^# //p' Makefile

demo test torture matrix bench clean:
	@pgrx-config/$@

torture: export TORTURE_SECONDS = $(or $(SECONDS),600)

install:
	@pgrx-config/install "$(PG_CONFIG)"
