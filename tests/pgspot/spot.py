"""pgspot over an install script, with what pgspot 0.9.4 does not know about one."""

import re

from pgspot import cli, state, visitors

# Every report calls some of these, and to pin the search_path takes longer than they do. Their bodies name every schema instead,
# also those of casts, and have no operators: the rest of pgspot sees to it.
UNPINNED = (
    "_entity_tail", "_app_tail", "_loose_app", "_loose_rules", "_own_app", "_is_tenant", "_tenant_lines", "_tenant_events", "_tenant_rules",
    "_summed_apps", "_tenant_llms", "_tenant_active_users")

spot = visitors.SQLVisitor
visit_text_body = spot.visit_CreateFunctionStmt
raw_sql = visitors.raw_sql


def check_definer(self, options, name):
    definer = any(o.defname == "security" and o.arg.boolval for o in options)
    paths = [o.arg for o in options if o.defname == "set" and o.arg.name == "search_path"]
    if definer and not any(self.state.is_secure_searchpath(path) for path in paths):
        self.state.error("PS003", name)


def visit_CreateFunctionStmt(self, ancestors, node):
    name = visitors.format_function(node)
    if node.funcname[-1].sval in UNPINNED:
        self.state.args.proc_without_search_path.append(name)
    # The names in RETURN and BEGIN ATOMIC are looked up once, as the script runs: the visitor goes on into them as into any
    # statement of it.
    if node.sql_body is None:
        return visit_text_body(self, ancestors, node)
    return check_definer(self, node.options, name)


def visit_AlterFunctionStmt(self, ancestors, node):
    check_definer(self, node.actions, visitors.format_name(node.func.objname))


class Script(state.State):
    """llm_usage.control names the schema pg_catalog: CREATE EXTENSION runs the script with the search_path pg_catalog, pg_temp."""

    def __init__(self, counter):
        super().__init__(counter)
        self.searchpath_secure = True


spot.visit_CreateFunctionStmt = visit_CreateFunctionStmt
spot.visit_AlterFunctionStmt = visit_AlterFunctionStmt
# Its parser takes a variable of a composite type for one without fields.
visitors.raw_sql = lambda node: re.sub(r"(?m)^(  \w+ +)llm_usage\.\w+;$", r"\1record;", raw_sql(node))
cli.State = Script
cli.run()
