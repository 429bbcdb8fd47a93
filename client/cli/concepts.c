#include "cli/concepts.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* clang-format off */
const struct concept concepts[] = {
    {"alias", WORDS("champion", "latest"), "a name in a model that points to one of its versions",
     "\"champion\", \"candidate\": whoever asks for version/fraud@champion gets the version that "
     "it points to now. It is moved in one step, and with --expect only if it is where you "
     "think it is (compare-and-set): of two who move it at once, one gets a CONFLICT. "
     "Each move answers a revision that only grows, a fencing token: a service that keeps "
     "the highest it has seen can refuse an order that is older. "
     "@latest is always there: the highest live number. Every move stays in the history.",
     WORDS("clade alias set fraud champion 7 --expect 6 --reason 'beat it by 2 points'",
           "clade get version/fraud@champion", "clade alias history fraud"),
     WORDS("version", "promotion", "stage", "history")},
    {"artifact", WORDS("dataset", "data", "file", "paper", "uri", "digest"),
     "anything that has bytes somewhere, or could have: a data set, a file, a table",
     "clade keeps no bytes. It keeps where they are (uris), what they are (digests, one for "
     "each algorithm), how many, and whether they are there (content). An artifact is found "
     "by its name, by a digest or by a uri. What sort it is says its type.",
     WORDS("clade artifact create reviews-03 --type dataset --uri s3://data/reviews-03.parquet",
           "clade get uri:s3://data/reviews-03.parquet"),
     WORDS("content", "type", "edge", "reference")},
    {"as_of", WORDS("as-of", "time-travel", "past", "date"), "reading what was there at an earlier time",
     "Every read takes --as-of: a revision, a time, or a date, which means its end. Without an "
     "offset it is local time. The answer is what a read would have said then: names, aliases, "
     "stages, targets, edges and props as they were. A time without any change in it is that of "
     "the change before.",
     WORDS("clade deployment get prod/eu/fraud --as-of 2026-03-01",
           "clade deployment list --as-of 2026-03-01", "clade get version/fraud@champion --as-of 1234"),
     WORDS("revision", "history", "compaction", "deployment")},
    {"compaction", WORDS("compact", "compacted", "retention", "floor"), "letting go of history that is old enough",
     "History is kept for ever unless a namespace says how long (--retention 90d; those below it "
     "inherit it) or somebody lets go of it by hand. From then on what was before a revision, the "
     "floor, cannot be read: COMPACTED, with the oldest revision that can. History, audits and "
     "watches end there and say so. What is now, and what was at the floor and since, reads as "
     "before. A thing that is held keeps its history, and nothing goes that is younger than 15 "
     "minutes, the life of a cursor. Each node takes the rows away in the background; their space is "
     "used again by new writes, and given back by claded shrink on a stopped node.",
     WORDS("clade namespace update risk --retention 90d",
           "clade namespace compact risk --before 2026-01-01", "clade -n risk describe"),
     WORDS("history", "as_of", "hold", "namespace")},
    {"consistency", WORDS("linearizable", "stale", "at-least", "local"), "how new an answer must be",
     "linearizable (the default): it has everything that anybody's write was acknowledged for before "
     "you asked. Any node answers; it asks the leader how far to be.\n"
     "at-least[=REVISION]: at least that revision, or the newest that this command has seen: your own "
     "writes, without a round to the leader.\n"
     "stale=MS: at most so many milliseconds old.\n"
     "local: whatever the node has. It may miss even your own write.",
     WORDS("clade artifact list --consistency stale=5000",
           "clade get model/fraud --consistency at-least=1234"),
     WORDS("revision", "transaction")},
    {"content", WORDS("pending", "ready", "failed", "gone"), "whether the bytes of an artifact or a version are there",
     "none: there is nothing to hold (a table, a service). pending: being written. ready. failed: "
     "with --content-reason. gone: they were there. Unset means that nobody has said. It moves "
     "from one to the next only as makes sense: ready does not become pending again.",
     WORDS("clade artifact create reviews-03 --content pending",
           "clade artifact update reviews-03 --content failed --content-reason 'disk full'"),
     WORDS("artifact", "version")},
    {"cursor", WORDS("page", "paging"), "where a long answer goes on",
     "An answer of many items comes in pages. \"complete\" says whether it was all; a cursor, where "
     "to go on. It is pinned to the first page's revision, so that pages fit together whatever is "
     "written meanwhile, works on every node, and lives 15 minutes. The command line follows "
     "cursors by itself; --limit stops it.",
     WORDS("clade artifact list --limit 100"),
     WORDS("revision", "as_of", "errors")},
    {"deletion", WORDS("delete", "undelete", "tombstone", "deleted"), "taking a thing out of use, so that it can come back",
     "A deleted thing gives its name free and keeps its edges: lineage still shows it, marked. "
     "undelete brings it back, under another name if its own is taken. Deleting a model hides its "
     "versions, deleting an experiment its runs. What an alias, a stage in use or a deployment "
     "points to is not deleted (IN_USE, saying who). A deleted thing is found by id/N.",
     WORDS("clade artifact delete scratch --reason 'made by mistake'", "clade artifact undelete scratch",
           "clade artifact list --state deleted"),
     WORDS("hold", "purge", "lineage")},
    {"deployment", WORDS("target", "targets", "shadow", "production", "endpoint"),
     "a place that serves versions, and which it serves",
     "Its name is the path of the environment: prod/eu/fraud. Its targets are versions with the "
     "share of the traffic that each gets; a shadow target gets a copy and answers nobody. desired "
     "says what should be, observed what a controller saw. clade starts and stops nothing: it is "
     "where those who do look it up, and where an auditor sees what served on a given day.",
     WORDS("clade deployment set prod/eu/fraud fraud/7=90% fraud/8=10%",
           "clade deployment get prod/eu/fraud --as-of 2026-03-01"),
     WORDS("promotion", "stage", "as_of", "history")},
    {"dry-run", WORDS("dryrun", "try"), "what a write would answer, without writing it",
     "With --dry-run a command checks and runs its transaction on the newest state and answers as "
     "if it had happened: what it would create, or why it would be refused. Nothing stays of it.",
     WORDS("clade version promote fraud/7 --alias champion --dry-run"),
     WORDS("transaction", "promotion")},
    {"edge", WORDS("link", "label", "trained_on", "derived_from", "fine_tuned_from", "contains", "consumed", "produced_by"),
     "\"from LABEL to\": from depends on to",
     "It always reads so: a model trained_on a data set, a run consumed it, a version is "
     "produced_by a run. Labels that clade knows: consumed, produced_by, derived_from and its kinds "
     "(fine_tuned_from distilled_from merged_from quantized_from adapter_of), trained_on, "
     "evaluated_on, contains, version_of, stands_for. Your own need no declaration. One edge for "
     "each (from, label, to); it can have props, and linking again merges them. A link that would "
     "close a cycle of derived_from and its kinds, contains, version_of and stands_for is refused "
     "(CYCLE, naming it).",
     WORDS("clade link version/fraud/7 trained_on artifact/reviews-03",
           "clade link version/merged/1 merged_from version/a/3 --prop weight=0.5"),
     WORDS("lineage", "thing", "type")},
    {"errors", WORDS("error", "exit", "exit-code", "conflict", "retry", "in_use"), "classes that a program can act on",
     "NOT_FOUND (exit 3): there is no such thing. INVALID, LIMIT, QUOTA, DENIED (exit 1): refused, "
     "and the message says where and why. CONFLICT, IN_USE, CYCLE (exit 4): what is there now is "
     "in the way, and the message says what. RETRY, UNAVAILABLE, THROTTLED (exit 5): nothing "
     "happened, try again. UNKNOWN, SESSION_EXPIRED (exit 6): a write may have happened. "
     "COMPACTED (exit 1): that part of the past is gone. Exit 2 is a mistake in the command line. "
     "With -w json an error is {\"error\": {\"code\", \"message\", \"where\", \"there\"}} on stderr.",
     NULL, WORDS("transaction", "session", "guard")},
    {"experiment", NULL, "what runs belong to",
     "A question that runs try to answer: \"width against depth\". A run is of one experiment, or of "
     "none. Deleting an experiment hides its runs.",
     WORDS("clade experiment create width-and-depth", "clade run list --experiment width-and-depth"),
     WORDS("run", "thing")},
    {"external-id", WORDS("external", "external_id"), "the id that a thing has in another system",
     "SYSTEM:ID, one for each kind and namespace, several a thing. What a pipeline knows only by its "
     "own id is found, and created once however often it is said.",
     WORDS("clade run create --external-id airflow:dag7/2026-03-01 --if-exists match",
           "clade get run/ext:airflow:dag7/2026-03-01"),
     WORDS("reference", "stub")},
    {"guard", WORDS("guards", "compare-and-set", "precondition", "expect"), "what must hold for a transaction to happen",
     "exists, absent, unchanged (since a revision), alias, stage, and matches: a query about one "
     "thing. If one does not hold, nothing of the transaction happens, and the CONFLICT says which "
     "and what is there now. --expect of alias, stage and promote is such a condition.",
     WORDS("clade version promote fraud/7 --alias champion --expect 6 --if \"tags.reviewed = 'yes'\""),
     WORDS("transaction", "query", "errors")},
    {"history", WORDS("audit", "who", "reason"), "what each revision changed of a thing: who, when, why",
     "Every change of a field, an edge, an alias, a stage or the targets is kept with its revision, "
     "the time, who did it, and the --reason that was given. Points of metrics are not in it.",
     WORDS("clade history version/fraud/7", "clade alias history fraud", "clade deployment history prod/eu/fraud"),
     WORDS("revision", "as_of", "deletion")},
    {"hold", WORDS("legal-hold", "release"), "keeps a thing from being deleted",
     "While it is set, delete and purge are refused, saying why it is held, and its history is not "
     "compacted: below the floor of its namespace it is read by id/N. It is a "
     "decision, not a lock: everything else about the thing may change.",
     WORDS("clade hold version/fraud/6 --reason 'audit 2026-12'", "clade release version/fraud/6"),
     WORDS("deletion", "purge")},
    {"lineage", WORDS("upstream", "downstream", "provenance", "impact"), "what a thing was made from, and what was made from it",
     "Edges point from what depends to what it depends on. Upstream follows them: data, code, runs, "
     "parents. Downstream goes against them: \"this data set is poisoned, what came of it?\". Each "
     "thing is shown once, with the least number of steps; --labels and --kinds choose, --count "
     "only counts. Impact is what of it is in use, provenance the bill of materials.",
     WORDS("clade lineage up version/fraud/7 --tree", "clade impact artifact/reviews-03",
           "clade provenance version/fraud/7", "clade paths version/fraud/7 artifact/reviews-03",
           "clade lineage down artifact/reviews-03 --count"),
     WORDS("edge", "as_of")},
    {"metric", WORDS("metrics", "series", "point", "points"), "a series of measured values of a thing",
     "A series is (thing, key, what it was measured on); its points are step, time and value, in "
     "that order, and are only added. Its first, last, least and greatest value and their number "
     "are kept. Logging points changes neither the thing's revision nor its history.",
     WORDS("clade run log night-7 --metric loss=0.31 --step 1200",
           "clade log version/fraud/7 --metric auc=0.91 --on artifact/holdout", "clade metrics run/night-7 loss"),
     WORDS("param", "run")},
    {"model", NULL, "a name under which versions come out",
     "It has versions, numbered from 1 without gaps, and aliases that point to them. Deleting it "
     "hides its versions; a later model of the same name begins at 1 again, with a new id.",
     WORDS("clade model create fraud --owner risk", "clade version list --model fraud"),
     WORDS("version", "alias", "thing")},
    {"namespace", WORDS("team", "tenant", "path"), "whose things they are: a team's own space of names",
     "Namespaces are paths: risk, risk/cards. One has its own names, types, stages and quota, and "
     "what it does not say itself it has from those above it. Plain references mean the namespace "
     "given by -n (default: \"default\"); //risk//model/fraud means one in another. Edges cross "
     "namespaces.",
     WORDS("clade namespace create risk --owner risk-team", "clade -n risk model list",
           "clade get //risk//model/fraud"),
     WORDS("quota", "reference", "type", "stage")},
    {"param", WORDS("params", "hyperparameter"), "a value that a run was started with",
     "A text under a key, on anything, written once: the same value again is no error, another one "
     "is a CONFLICT.",
     WORDS("clade run log night-7 --param lr=0.1 --param optimizer=adam", "clade run get night-7 --params"),
     WORDS("metric", "prop", "run")},
    {"promotion", WORDS("promote"), "one transaction that puts a version into use",
     "\"Move the alias from 6 to 7 if it is still at 6, set the stages, point the deployment at it, "
     "keep who and why\" is one command and one transaction: all of it happens, or nothing, and "
     "exit code 4 says what is there now. --dry-run shows what it would do. Going back is the same "
     "command with the version before.",
     WORDS("clade version promote fraud/7 --alias champion --expect 6 --stage production "
           "--displace archived --deployment prod/eu/fraud --reason 'auc 0.91, was 0.89'"),
     WORDS("alias", "stage", "deployment", "guard", "dry-run")},
    {"prop", WORDS("props", "property", "properties", "field"), "a typed value of a thing or an edge",
     "string, int, float, bool, time, json, ref (to another thing), and lists of them. Unlike a tag "
     "it has a type, and a type of things can say which props they must have; unlike a param it can "
     "change, and its history is kept.",
     WORDS("clade artifact update reviews-03 --prop rows=120000 --prop share:float=1",
           "clade artifact update reviews-03 --prop source:ref=artifact/crawl"),
     WORDS("type", "tag", "param")},
    {"purge", WORDS("erase", "gdpr"), "takes what is in a deleted thing away for good",
     "From the record, from history and from the change log, in the background. A tombstone of id, "
     "kind, digests, times and edges stays, so that lineage is still true. Only what is deleted and "
     "not held is purged. There is no way back; backups keep what they have.",
     WORDS("clade artifact delete scratch --reason 'its owner asked'",
           "clade artifact purge scratch --reason 'its owner asked'"),
     WORDS("deletion", "hold", "history")},
    {"query", WORDS("matches", "filter", "search"), "a condition on a thing, in text",
     "stage = 'staging' AND tags.reviewed = 'yes' AND props.rows >= 1000: attributes, tags.KEY, "
     "params.KEY, props.KEY; AND OR NOT ( ), = != < <= > >=, LIKE, ILIKE, IN, BETWEEN, IS NULL. A "
     "comparison with something that is missing is false.",
     WORDS("clade version promote fraud/7 --alias champion --if \"tags.reviewed = 'yes' AND stage = 'staging'\""),
     WORDS("guard", "prop", "tag")},
    {"quota", WORDS("limits", "throttled"), "how much a namespace may hold, and write",
     "Things, edges, bytes, and writes a second, of the namespace and all those under it. What would "
     "pass one is refused whole: QUOTA says which, how much and where; THROTTLED, until when. "
     "\"clade limits\" shows the limits that everybody has: of names, texts, transactions.",
     WORDS("clade namespace update risk --quota things=1000000 --quota writes_per_s=500",
           "clade -n risk describe", "clade limits"),
     WORDS("namespace", "errors")},
    {"reference", WORDS("ref", "refs", "name", "id"), "how a thing is named",
     "KIND/NAME: artifact/reviews-03, deployment/prod/eu/fraud; version/MODEL/7, version/MODEL@ALIAS, "
     "version/MODEL@latest; //TEAM//KIND/NAME in another namespace; id/1234, for ever the same thing; "
     "KIND/ext:SYSTEM:ID by an external id; to find, digest:ALGO:VALUE and uri:URI. A command that "
     "knows the kind takes the name alone. Where references stand, \"-\" means the lines of stdin.",
     WORDS("clade get model/fraud version/fraud@latest id/12", "clade artifact list -w ndjson --view ids"),
     WORDS("thing", "namespace", "alias", "external-id")},
    {"revision", WORDS("revisions", "commit"), "the number of a change of the store",
     "Each transaction that changes something is one revision, numbered without gaps over the whole "
     "cluster; one that changes nothing or is refused takes none. Every answer says of which it is, "
     "every thing when it was created and last changed, and every read can be of an earlier one.",
     WORDS("clade history model/fraud", "clade get model/fraud --as-of 1234"),
     WORDS("transaction", "as_of", "consistency")},
    {"run", WORDS("training", "job"), "one execution: a training, an evaluation, a job",
     "It has a status (scheduled running finished failed killed), a start and an end, params and "
     "metrics, maybe an experiment and a parent. What it read are its consumed edges; what it made "
     "is produced_by it.",
     WORDS("clade run create night-7 --status running --start now", "clade run log night-7 --metric loss=0.31 --step 1200",
           "clade run finish night-7"),
     WORDS("experiment", "metric", "param", "edge")},
    {"session", WORDS("exactly-once", "idempotent"), "why a repeated write happens once",
     "A client numbers its writes in a session that the cluster knows. A write whose answer was lost "
     "is repeated under its number, on any node, and gets the first answer. The library and the "
     "command do this by themselves. A session ends when it is idle for an hour.",
     NULL, WORDS("transaction", "errors", "consistency")},
    {"stage", WORDS("staging", "archived", "stages"), "how far a version is: none, staging, production, archived",
     "The list is the namespace's, which can have its own. A stage holds one version of a model "
     "unless it is \"multiple\": --displace says where the one goes that is there. A version in a "
     "stage that counts as in use is not deleted.",
     WORDS("clade version stage fraud/7 production --displace archived",
           "clade namespace update risk --stage canary:in-use --stage live:in-use --stage old:multiple"),
     WORDS("promotion", "alias", "version", "namespace")},
    {"stub", WORDS("stubs", "placeholder"), "a thing that is made before it is known",
     "A data set first seen as the input of a run: --if-exists match makes it if it is not there, and "
     "fields come later, each once. A reference alone makes nothing: it is NOT_FOUND.",
     WORDS("clade artifact create reviews-03 --if-exists match"),
     WORDS("thing", "external-id")},
    {"tag", WORDS("tags", "annotation"), "a text under a key, for people and scripts",
     "On anything; it can be changed and taken away, and its history is kept.",
     WORDS("clade model update fraud --tag task=classification --untag draft"),
     WORDS("prop", "query")},
    {"thing", WORDS("things", "kind", "entity"), "anything that clade keeps",
     "Its kind is one of namespace, type, artifact, experiment, run, model, version, deployment. It has "
     "an id that is never used again, a name unique among the live things of its kind in its "
     "namespace, an owner, a description, tags, props. Fields that say what it is (digests, size, run) "
     "are set once.",
     WORDS("clade get model/fraud", "clade get id/12"),
     WORDS("reference", "namespace", "edge", "type")},
    {"transaction", WORDS("txn", "atomic", "operation", "operations"), "the only way to write: all of it happens, or nothing",
     "Guards, then operations, at one revision, with a reason. $0 or $NAME means what an earlier "
     "operation made. Each command line that writes is one; \"clade txn\" takes one as JSON, \"clade "
     "import\" one a line. An acknowledged one is on the disks of a majority.",
     WORDS("clade txn release.json", "clade txn release.json --dry-run"),
     WORDS("guard", "revision", "session", "dry-run")},
    {"type", WORDS("types", "schema"), "what things of a kind, or edges of a label, must look like",
     "artifact:dataset, run:training, edge:merged_from: fields with the type of their value, required "
     "or not, fixed (written once) or not. A closed type allows no other props. Fields are only added. "
     "A type is found in the thing's namespace, then in those above it.",
     WORDS("clade type create artifact:dataset --field rows:int,required --closed",
           "clade artifact create reviews-03 --type dataset --prop rows=120000"),
     WORDS("prop", "namespace", "edge")},
    {"version", NULL, "one numbered release of a model",
     "Numbers are given by the store, without gaps, and never again. What it is (digests, the run that "
     "made it) is set once; where its bytes are, its stage and its tags may change. A version whose "
     "run is set is produced_by it.",
     WORDS("clade version create fraud --run night-7 --uri s3://models/fraud/7", "clade version get fraud/7 fraud@latest"),
     WORDS("model", "alias", "stage", "promotion", "lineage")},
};
/* clang-format on */

const size_t concepts_len = sizeof concepts / sizeof *concepts;

/* "points" is "point", and "aliases" is "alias", in either case. */
static bool same_word(const char *word, const char *name)
{
    size_t len = strlen(name);
    const char *end = word + len;
    return strncasecmp(word, name, len) == 0 &&
           (*end == '\0' || strcasecmp(end, "s") == 0 || strcasecmp(end, "es") == 0);
}

const struct concept *concept_find(const char *word)
{
    for (size_t i = 0; i < concepts_len; i++) {
        const struct concept *c = &concepts[i];
        bool found = same_word(word, c->name);
        for (size_t j = 0; !found && c->also != NULL && c->also[j] != NULL; j++) {
            found = same_word(word, c->also[j]);
        }
        if (found) {
            return c;
        }
    }
    return NULL;
}
