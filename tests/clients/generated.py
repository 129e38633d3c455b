"""Clients generated from OpenAPI documents: generated.py WHICH PACKAGE, where PACKAGE was generated from that document."""
import importlib
import os
import sys
from datetime import datetime, timezone

which, package = sys.argv[1:]
module = importlib.import_module(package)
errors = importlib.import_module(f"{package}.exceptions")


def api(name, key=os.environ["KEY"]):
    configuration = module.Configuration(host=os.environ["URL"] + ("/api/v1" if which.startswith("tyk") else ""))
    client = module.ApiClient(configuration, header_name="Authorization", header_value=f"Bearer {key}")
    return getattr(module, name)(client)


def refused(error, call):
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"did not raise {error}")


def tyk_tokens():
    tokens = api("AnalyticsApi").analytics_token_usage_for_app_get
    usage = tokens("2025-06-01", "2025-06-03", 7)
    assert (usage.data, usage.labels) == ([150, 18], ["2025-06-01", "2025-06-02"]), usage
    error = refused(errors.BadRequestException, lambda: tokens("2025-06-01", "June", 7))
    assert error.data.errors[0].detail == "end_date must be a date in the form YYYY-MM-DD", error.data


def tyk_budgets():
    budgets = api("AnalyticsApi").analytics_budget_usage_get
    app, other = budgets(start_date="2025-06-01", end_date="2025-06-30")
    assert (app.name, app.budget, app.total_tokens, app.user_email) == ("Helpdesk", 100, 168, "dev@example.com"), app
    assert (other.name, other.budget, other.user_id) == ("App 8", None, 0), other
    error = refused(errors.BadRequestException, lambda: budgets(start_date="June"))
    assert error.data.errors[0].detail == "Invalid start_date format", error.data


def ours():
    june = datetime(2025, 6, 1, tzinfo=timezone.utc)
    usage = api("ChippApi").api_v1_apps_app_id_analytics_usage_get("help desk", started_after=june, group_by="month").data
    assert (usage.summary.total_sessions, usage.summary.unique_consumers) == (1, 1), usage
    assert (usage.timeseries[0].period, usage.timeseries[0].message_count) == (june, 1), usage
    tokens = api("ChippApi").api_v1_apps_app_id_analytics_token_usage_get("7").data
    assert (tokens.total.total_tokens, tokens.by_model[0].model) == (168, "gpt-4.1"), tokens
    error = refused(errors.NotFoundException, lambda: api("ChippApi").api_v1_apps_app_id_analytics_usage_get("99"))
    assert error.data.error.code == "not_found", error.data
    error = refused(errors.UnauthorizedException, lambda: api("ChippApi", "wrong").api_v1_apps_app_id_analytics_usage_get("7"))
    assert error.data.error.code == "unauthorized", error.data
    event = module.Event(model="gpt-4.1-mini", app_id=71, prompt_tokens=100)
    recorded = api("RecordApi", os.environ["WRITER"]).v1_usage_post(event)
    assert (recorded.status, recorded.cost) == ("recorded", 0.00004), recorded


{"tyk-tokens": tyk_tokens, "tyk-budgets": tyk_budgets, "ours": ours}[which]()
print(f"{which}: ok")
