#include "cli/flags.h"

#include <stddef.h>

#include "base/check.h"

/* clang-format off */
static const struct flag flags[FLAG_ID_COUNT] = {
    [FLAG_ENDPOINTS] = {"endpoints", 'e', false, "HOST:PORT,...", "nodes to talk to (CLADE_ENDPOINTS; default 127.0.0.1:7400)"},
    [FLAG_NAMESPACE] = {"namespace", 'n', false, "PATH", "what plain references mean (CLADE_NAMESPACE; default \"default\")"},
    [FLAG_WRITE] = {"write", 'w', false, "FORMAT", "table, json (one document) or ndjson (an item a line) (CLADE_WRITE)"},
    [FLAG_CONSISTENCY] = {"consistency", 0, false, "LEVEL", "linearizable, at-least[=REVISION], stale=MS or local (CLADE_CONSISTENCY)"},
    [FLAG_AS_OF] = {"as-of", 0, false, "WHEN", "read the past: a revision, a time or a date (local without an offset)"},
    [FLAG_REASON] = {"reason", 0, false, "TEXT", "why; kept with the revision"},
    [FLAG_DRY_RUN] = {"dry-run", 0, false, NULL, "only show what a transaction would do; nothing is written"},
    [FLAG_TIMEOUT] = {"timeout", 0, false, "TIME", "for a request with its retries: 500ms, 10s, 2m (CLADE_TIMEOUT; default 10s, import 60s, members 10m)"},
    [FLAG_USER] = {"user", 0, false, "NAME", "whom to claim to be (CLADE_USER; default the login name)"},
    [FLAG_COLOR] = {"color", 0, false, "WHEN", "auto (on a terminal), always or never (CLADE_COLOR)"},
    [FLAG_CONFIG] = {"config", 0, false, "FILE", "settings (CLADE_CONFIG; default ~/.config/clade/config.yaml)"},
    [FLAG_HELP] = {"help", 'h', false, NULL, "show help and stop"},
    [FLAG_VERSION] = {"version", 0, false, NULL, "show the version and stop"},

    [FLAG_DESCRIPTION] = {"description", 'd', false, "TEXT", "what it is, for people"},
    [FLAG_OWNER] = {"owner", 0, false, "NAME", "who answers for it"},
    [FLAG_TAG] = {"tag", 't', true, "KEY=VALUE", "sets a tag; may be repeated"},
    [FLAG_UNTAG] = {"untag", 0, true, "KEY", "takes a tag away; may be repeated"},
    [FLAG_TYPE] = {"type", 0, false, "NAME", "a type of its kind"},
    [FLAG_DIGEST] = {"digest", 0, true, "ALGO:VALUE", "a digest of its bytes; may be repeated"},
    [FLAG_URI] = {"uri", 0, true, "URI", "where its bytes are; may be repeated"},
    [FLAG_EXTERNAL_ID] = {"external-id", 0, true, "SYSTEM:ID", "its id elsewhere; may be repeated"},
    [FLAG_SIZE] = {"size", 0, false, "BYTES", "how many bytes it has"},
    [FLAG_EXPERIMENT] = {"experiment", 0, false, "REF", "the experiment it belongs to"},
    [FLAG_PARENT] = {"parent", 0, false, "REF", "the run that started it"},
    [FLAG_RUN] = {"run", 0, false, "REF", "the run that made it"},
    [FLAG_NUMBER] = {"number", 0, false, "N", "a number above the highest so far (default: the next)"},
    [FLAG_STATUS] = {"status", 0, false, "STATUS", "scheduled, running, finished, failed or killed"},
    [FLAG_START] = {"start", 0, false, "TIME", "when it began: RFC 3339, local time without an offset, or now"},
    [FLAG_END] = {"end", 0, false, "TIME", "when it ended, as --start"},
    [FLAG_CONTENT] = {"content", 0, false, "STATE", "none, pending, ready, failed or gone"},
    [FLAG_CONTENT_REASON] = {"content-reason", 0, false, "TEXT", "why its content failed"},
    [FLAG_PROP] = {"prop", 'p', true, "KEY[:TYPE]=VALUE", "sets a typed prop: lr=0.1, n:string=7, l:int[]=1,2; may be repeated"},
    [FLAG_UNPROP] = {"unprop", 0, true, "KEY", "takes a prop away; may be repeated"},
    [FLAG_REMOVE_URI] = {"remove-uri", 0, true, "URI", "takes a uri away; may be repeated"},
    [FLAG_REMOVE_EXTERNAL_ID] = {"remove-external-id", 0, true, "SYSTEM:ID", "takes an external id away; may be repeated"},
    [FLAG_FIELD] = {"field", 0, true, "NAME:TYPE[,...]", "a field of the type, then required, fixed, indexed, unit=U; may be repeated"},
    [FLAG_CLOSED] = {"closed", 0, false, NULL, "things of the type have no other props"},
    [FLAG_CYCLIC] = {"cyclic", 0, false, NULL, "edges of the type edge:LABEL may form cycles"},
    [FLAG_OPEN] = {"open", 0, false, NULL, "things of the type may have other props"},
    [FLAG_NEW_NAME] = {"name", 0, false, "NAME", "under another name, when its own is taken"},
    [FLAG_DESIRED] = {"desired", 0, false, "STATUS", "unknown, pending, running, degraded, failed or stopped"},
    [FLAG_OBSERVED] = {"observed", 0, false, "STATUS", "as --desired, as it was seen"},
    [FLAG_ENDPOINT] = {"endpoint", 0, false, "URI", "where it answers"},
    [FLAG_STAGE] = {"stage", 0, true, "NAME[:multiple][:in-use]", "a stage of its versions; may be repeated, replaces the list"},
    [FLAG_PARAM] = {"param", 0, true, "KEY=VALUE", "a param, written once; may be repeated"},
    [FLAG_METRIC] = {"metric", 0, true, "KEY=VALUE", "a metric's point: a number, nan or inf; may be repeated"},
    [FLAG_STEP] = {"step", 0, false, "N", "the step of the points (default 0)"},
    [FLAG_TIME] = {"time", 0, false, "TIME", "the time of the points: RFC 3339, local time without an offset, or now (default)"},
    [FLAG_ON] = {"on", 0, false, "REF", "what the metrics were measured on"},
    [FLAG_LOGGED_BY] = {"run", 0, false, "REF", "the run that logs the points"},
    [FLAG_IF_EXISTS] = {"if-exists", 0, false, "WHAT", "error (default), return it, or match (fill what it lacks)"},
    [FLAG_AS] = {"as", 0, false, "NAME", "a name for the operation"},

    [FLAG_EXPECT] = {"expect", 0, false, "N|unset", "only if it is that version's now"},
    [FLAG_EXPECT_STAGE] = {"expect", 0, false, "STAGE", "only if it is in that stage now"},
    [FLAG_DISPLACE] = {"displace", 0, false, "STAGE", "where those go that are in the stage"},
    [FLAG_SHADOW] = {"shadow", 0, true, "VERSION[=SHARE]", "gets a copy of the traffic; may be repeated"},

    [FLAG_ALIAS] = {"alias", 0, false, "ALIAS", "the alias of its model that moves to it"},
    [FLAG_TO_STAGE] = {"stage", 0, false, "STAGE", "the stage that it moves to"},
    [FLAG_DEPLOYMENT] = {"deployment", 0, true, "PATH", "a deployment that serves it, all of it, from then on; may be repeated"},
    [FLAG_IF] = {"if", 0, false, "QUERY", "only if the version is so: \"tags.reviewed = 'yes'\""},

    [FLAG_UNDER_MODEL] = {"model", 0, false, "REF", "only versions of this model"},
    [FLAG_UNDER_EXPERIMENT] = {"experiment", 0, false, "REF", "only runs of this experiment"},
    [FLAG_LIMIT] = {"limit", 0, false, "N", "at most so many items (default: all)"},
    [FLAG_VIEW] = {"view", 0, false, "VIEW", "ids, heads or full"},
    [FLAG_STATE] = {"state", 0, false, "STATE", "live (default), deleted or any"},
    [FLAG_EDGES] = {"edges", 0, false, NULL, "each with what it depends on"},
    [FLAG_ALIASES] = {"aliases", 0, false, NULL, "models and versions with their aliases"},
    [FLAG_PARAMS] = {"params", 0, false, NULL, "each with its params"},
    [FLAG_METRICS] = {"metrics", 0, false, NULL, "each with what stands of its metrics beside their points"},
    [FLAG_LAST] = {"last", 0, false, NULL, "a line for each series: its last, least, greatest and first value"},
    [FLAG_SAMPLE] = {"sample", 0, false, "N", "at most N points of each series, peaks and ends among them"},
    [FLAG_FROM_STEP] = {"from-step", 0, false, "N", "only points of this step or a later one"},
    [FLAG_TO_STEP] = {"to-step", 0, false, "N", "only points of this step or an earlier one"},
    [FLAG_FROM] = {"from", 0, false, "TIME", "only points of this time or later, as --start"},
    [FLAG_TO] = {"to", 0, false, "TIME", "only points of this time or earlier; a date means its end"},
    [FLAG_LABELS] = {"labels", 0, false, "A,B", "follow only these labels"},
    [FLAG_KINDS] = {"kinds", 0, false, "A,B", "answer only these kinds"},
    [FLAG_DEPTH] = {"depth", 0, false, "N", "at most so many steps (default: all)"},
    [FLAG_COUNT_ONLY] = {"count", 0, false, NULL, "only how many there are"},

    [FLAG_NODES_FILE] = {"nodes", 0, false, "FILE.tsv", "a graph's nodes: name, kind, publisher"},
    [FLAG_EDGES_FILE] = {"edges", 0, false, "FILE.tsv", "a graph's edges: from, label, to"},
    [FLAG_HEADER] = {"header", 0, false, NULL, "the first line of each TSV file is a heading"},
    [FLAG_RATE] = {"rate", 0, false, "N", "at most so many lines a second"},
    [FLAG_CREATE_NAMESPACE] = {"create-namespace", 0, false, NULL, "make the namespace first where it is missing"},
    [FLAG_STRICT] = {"strict", 0, false, NULL, "stop at the first line that is refused"},

    [FLAG_NO_PROMOTE] = {"no-promote", 0, false, NULL, "it stays a standby: it has everything and does not vote"},
    [FLAG_NO_WAIT] = {"no-wait", 0, false, NULL, "stop when the cluster has taken it up, not when it is done"},

    [FLAG_CLIENTS] = {"clients", 0, false, "N", "requests in flight at once (default 64)"},
    [FLAG_CONNECTIONS] = {"connections", 0, false, "N", "clients to spread them over (default 1)"},
    [FLAG_COUNT] = {"count", 0, false, "N", "requests in all (default 10,000)"},
    [FLAG_BYTES] = {"bytes", 0, false, "N", "bytes of each description (default 256)"},
    [FLAG_SERIES] = {"series", 0, false, "N", "metrics that the points of a batch are of (default 10)"},
    [FLAG_POINTS] = {"points", 0, false, "N", "points of a batch (default 1,000)"},
    [FLAG_REF] = {"ref", 0, true, "REF", "what to ask for; may be repeated"},
    [FLAG_JSON] = {"json", 0, false, NULL, "the same as -w json"},
};
/* clang-format on */

const struct flag *flag_by_id(enum flag_id id)
{
    CHECK(id < FLAG_ID_COUNT);
    return &flags[id];
}
