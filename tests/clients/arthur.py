"""Arthur's own client: good calls, and the typed exception of each error."""
import os
from datetime import datetime, timedelta, timezone

from arthur_genai_client import ApiClient, Configuration, exceptions
from arthur_genai_client.api.usage_api import UsageApi


def api(key=os.environ["KEY"]):
    return UsageApi(ApiClient(Configuration(host=os.environ["URL"], access_token=key)))


def refused(error, call):
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"did not raise {error}")


zone = timezone(timedelta(hours=2))
day = lambda number: datetime(2025, 6, number, 2, tzinfo=zone)
tokens = api().get_token_usage_api_v2_usage_tokens_get
[group] = tokens(start_time=day(2), end_time=day(3), group_by=["task", "rule_type"])
assert (group.rule_type, group.task_id) == ("PIIDataRule", "t"), group
assert (group.count.inference, group.count.eval_prompt, group.count.eval_completion) == (30, 7, 1), group
[group] = tokens(start_time=day(2), end_time=day(3))
assert (group.rule_type, group.task_id) == ("PIIDataRule", None), group
assert tokens() == []

# The client checks what it sends; a year that the server does not know passes it.
error = refused(exceptions.UnprocessableEntityException,
                lambda: tokens(start_time=datetime(1, 1, 1, tzinfo=zone)))
assert error.data.detail[0].loc[1].actual_instance == "start_time", error.data
assert refused(exceptions.UnauthorizedException, lambda: api("wrong").get_token_usage_api_v2_usage_tokens_get()).status == 401
assert refused(exceptions.ForbiddenException, lambda: api(os.environ["WRITER"]).get_token_usage_api_v2_usage_tokens_get()).status == 403
print("arthur: ok")
