#include "cli/commands.h"

#include <string.h>

#include "cli/run.h"

#define FLAGS(...)    ((const enum flag_id[]){__VA_ARGS__, FLAG_NONE})
#define EXAMPLES(...) ((const char *const[]){__VA_ARGS__, NULL})

#define SPACE_FLAGS   FLAG_QUOTA, FLAG_RETENTION, FLAG_DEFAULT
#define COMMON_FLAGS  FLAG_DESCRIPTION, FLAG_OWNER, FLAG_TAG, FLAG_PROP, FLAG_TYPE, FLAG_EXTERNAL_ID
#define CONTENT_FLAGS FLAG_DIGEST, FLAG_URI, FLAG_CONTENT, FLAG_CONTENT_REASON
#define MAKE_FLAGS    FLAG_IF_EXISTS, FLAG_AS
#define UPDATE_FLAGS  FLAG_UNTAG, FLAG_UNPROP, FLAG_REMOVE_EXTERNAL_ID
#define READ_FLAGS                                                                                 \
    FLAG_VIEW, FLAG_STATE, FLAG_EDGES, FLAG_ALIASES, FLAG_PARAMS, FLAG_METRICS, FLAG_LIMIT

#define WALK_FLAGS                                                                                 \
    FLAG_LABELS, FLAG_DEPTH, FLAG_LIMIT, FLAG_COUNT_ONLY, FLAG_STATE, FLAG_QUERY, FLAG_TREE,       \
        FLAG_DOT

#define STDIN_HELP "A \"-\" among the arguments stands for the lines of stdin."
#define HISTORY_HELP                                                                               \
    "The history of a deleted thing is found by its id, or with --state deleted by its "           \
    "name.\n" STDIN_HELP
#define SEARCH_HELP                                                                                \
    "Without a query all of the kind are found. It compares attributes, tags.KEY, params.KEY,\n"   \
    "props.KEY and metrics.KEY by = != < <= > >= LIKE ILIKE IN BETWEEN IS NULL, joined by AND "    \
    "OR\n"                                                                                         \
    "NOT ( ). Of lineage: depends_on(X), used_by(X), linked(LABEL, X), linked_by(LABEL, X), X a\n" \
    "reference in quotes or a query in parentheses. ORDER BY KEY [DESC] may follow. MLflow's "     \
    "names\n"                                                                                      \
    "of attributes are known."
#define MEMBER_HELP                                                                                \
    "Said twice it changes nothing. What the cluster has taken up goes on when this command is\n"  \
    "stopped; \"clade cluster member list\" shows how far it is."
#define BULK_HELP                                                                                  \
    STDIN_HELP                                                                                     \
    "\nUp to 1,000 arguments are changed by one transaction, whole or not at all. Lines of stdin " \
    "go 16 to\n"                                                                                   \
    "a transaction, so that others' writes do not wait for them."

/* clang-format off */
#define GET(kind, ...)                                                                             \
    {kind " get", "NAME...", "show " kind "s by name or reference", STDIN_HELP,                    \
     FLAGS(READ_FLAGS), 1, COMMAND_ARGS_ANY, EXAMPLES(__VA_ARGS__), kind, run_get}
#define LIST(kind, flags, ...)                                                                     \
    {kind " list", "", "list the " kind "s of the namespace by name", NULL,                        \
     flags, 0, 0, EXAMPLES(__VA_ARGS__), kind, run_list}
#define CREATE(kind, arguments, min, flags, ...)                                                   \
    {kind " create", arguments, "create " kind "s", BULK_HELP, flags, min, COMMAND_ARGS_ANY,       \
     EXAMPLES(__VA_ARGS__), kind, run_create}
#define UPDATE(kind, flags, ...)                                                                   \
    {kind " update", "NAME...", "set fields of " kind "s", BULK_HELP, flags, 1,                    \
     COMMAND_ARGS_ANY, EXAMPLES(__VA_ARGS__), kind, run_update}
#define HISTORY(kind, name)                                                                        \
    {kind " history", "NAME...", "show what each revision changed, newest first", HISTORY_HELP,    \
     FLAGS(FLAG_LIMIT, FLAG_STATE), 1, COMMAND_ARGS_ANY,                                           \
     EXAMPLES("clade " kind " history " name, "clade " kind " history " name " --limit 10"), kind, \
     run_history}
#define DELETE(kind, ...)                                                                          \
    {kind " delete", "NAME...", "delete " kind "s; lineage still shows them, marked", BULK_HELP,   \
     NULL, 1, COMMAND_ARGS_ANY, EXAMPLES(__VA_ARGS__), kind, run_delete}

#define RENAME(kind, ...)                                                                          \
    {kind " rename", "NAME NEW", "give " kind "s another name; their ids stay", NULL,              \
     NULL, 2, 2, EXAMPLES(__VA_ARGS__), kind, run_rename}
#define UNDELETE(kind, ...)                                                                        \
    {kind " undelete", "NAME...", "bring deleted " kind "s back",                                  \
     "A name means the last that was called so; an older one is named by id/N. " BULK_HELP,        \
     FLAGS(FLAG_NEW_NAME), 1, COMMAND_ARGS_ANY, EXAMPLES(__VA_ARGS__), kind, run_undelete}

#define PURGE(kind, ...)                                                                           \
    {kind " purge", "NAME...", "take the content of deleted " kind "s away for good",              \
     "A tombstone of id, kind, digests, times and edges stays. A name means who held it last, and\n" \
     "must be deleted; id/N is sure. Backups keep what they have.\n" BULK_HELP,                    \
     NULL, 1, COMMAND_ARGS_ANY, EXAMPLES(__VA_ARGS__), kind, run_purge}

const struct command commands[] = {
    CREATE("artifact", "[NAME...]", 0,
           FLAGS(COMMON_FLAGS, CONTENT_FLAGS, FLAG_SIZE, MAKE_FLAGS),
           "clade artifact create imagenet-1k --type dataset --tag license=custom",
           "clade artifact create weights --digest sha256:2c26b4... --uri s3://bucket/weights"),
    GET("artifact", "clade artifact get imagenet-1k", "clade artifact get - < names"),
    LIST("artifact", FLAGS(READ_FLAGS), "clade artifact list",
         "clade -w ndjson artifact list --view ids"),
    UPDATE("artifact", FLAGS(COMMON_FLAGS, UPDATE_FLAGS, CONTENT_FLAGS, FLAG_REMOVE_URI, FLAG_SIZE, FLAG_AS),
           "clade artifact update imagenet-1k --tag reviewed=yes --untag draft",
           "clade artifact update weights --content failed --content-reason 'no space'",
           "clade artifact update weights --prop layers=50 --prop lr:float=1 --unprop draft"),
    RENAME("artifact", "clade artifact rename imagenet imagenet-1k"),
    DELETE("artifact", "clade artifact delete scratch --reason 'made by mistake'"),
    PURGE("artifact", "clade artifact purge scratch --reason 'its owner asked'", "clade artifact purge id/1234"),
    UNDELETE("artifact", "clade artifact undelete scratch --name scratch-2"),
    HISTORY("artifact", "imagenet-1k"),

    CREATE("experiment", "[NAME...]", 0, FLAGS(COMMON_FLAGS, MAKE_FLAGS),
           "clade experiment create resnet-ablation"),
    GET("experiment", "clade experiment get resnet-ablation"),
    LIST("experiment", FLAGS(READ_FLAGS), "clade experiment list"),
    UPDATE("experiment", FLAGS(COMMON_FLAGS, UPDATE_FLAGS, FLAG_AS),
           "clade experiment update resnet-ablation --description 'width and depth'"),
    RENAME("experiment", "clade experiment rename ablation resnet-ablation"),
    DELETE("experiment", "clade experiment delete resnet-ablation"),
    PURGE("experiment", "clade experiment purge resnet-ablation --reason 'its owner asked'", "clade experiment purge id/1234"),
    UNDELETE("experiment", "clade experiment undelete resnet-ablation"),
    HISTORY("experiment", "resnet-ablation"),

    CREATE("run", "[NAME...]", 0,
           FLAGS(COMMON_FLAGS, FLAG_EXPERIMENT, FLAG_PARENT, FLAG_STATUS, FLAG_START, FLAG_END,
                 MAKE_FLAGS),
           "clade run create --experiment resnet-ablation --status running --start now"),
    GET("run", "clade run get nightly-7"),
    LIST("run", FLAGS(FLAG_UNDER_EXPERIMENT, READ_FLAGS),
         "clade run list --experiment resnet-ablation"),
    UPDATE("run",
           FLAGS(COMMON_FLAGS, UPDATE_FLAGS, FLAG_EXPERIMENT, FLAG_PARENT, FLAG_STATUS, FLAG_START,
                 FLAG_END, FLAG_AS),
           "clade run update nightly-7 --status finished --end now"),
    RENAME("run", "clade run rename _42 nightly-8"),
    DELETE("run", "clade run delete nightly-7"),
    PURGE("run", "clade run purge nightly-7 --reason 'its owner asked'", "clade run purge id/1234"),
    UNDELETE("run", "clade run undelete nightly-7"),
    HISTORY("run", "nightly-7"),
    {"run log", "NAME...", "log params and points of metrics to runs",
     "A param is written once. Points may come in any order, and again.\n" BULK_HELP,
     FLAGS(FLAG_PARAM, FLAG_METRIC, FLAG_STEP, FLAG_TIME, FLAG_ON), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade run log nightly-7 --param lr=0.1 --param optimizer=adam",
              "clade run log nightly-7 --metric loss=0.31 --metric acc=0.89 --step 1200"),
     "run", run_log},
    {"run finish", "NAME...", "say that runs have ended, now and well unless told", BULK_HELP,
     FLAGS(FLAG_STATUS, FLAG_END), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade run finish nightly-7", "clade run finish nightly-7 --status failed"), "run",
     run_finish},

    CREATE("model", "NAME...", 1, FLAGS(COMMON_FLAGS, MAKE_FLAGS),
           "clade model create resnet50 --owner vision"),
    GET("model", "clade model get resnet50"),
    LIST("model", FLAGS(READ_FLAGS), "clade model list"),
    UPDATE("model", FLAGS(COMMON_FLAGS, UPDATE_FLAGS, FLAG_AS),
           "clade model update resnet50 --tag task=classification"),
    RENAME("model", "clade model rename resnet resnet50"),
    DELETE("model", "clade model delete resnet50"),
    PURGE("model", "clade model purge resnet50 --reason 'its owner asked'", "clade model purge id/1234"),
    UNDELETE("model", "clade model undelete resnet50"),
    HISTORY("model", "resnet50"),

    CREATE("version", "MODEL...", 1,
           FLAGS(COMMON_FLAGS, FLAG_NUMBER, FLAG_RUN, CONTENT_FLAGS, MAKE_FLAGS),
           "clade version create resnet50 --run nightly-7 --digest sha256:2c26b4..."),
    GET("version", "clade version get resnet50/7", "clade version get resnet50@latest"),
    LIST("version", FLAGS(FLAG_UNDER_MODEL, READ_FLAGS), "clade version list --model resnet50"),
    UPDATE("version", FLAGS(COMMON_FLAGS, UPDATE_FLAGS, FLAG_RUN, CONTENT_FLAGS, FLAG_REMOVE_URI, FLAG_AS),
           "clade version update resnet50/7 --tag reviewed=yes"),
    DELETE("version", "clade version delete resnet50/7"),
    PURGE("version", "clade version purge resnet50/7 --reason 'its owner asked'", "clade version purge id/1234"),
    UNDELETE("version", "clade version undelete resnet50/7"),
    {"version stage", "VERSION STAGE", "move a version to a stage of its namespace",
     "A stage that is not \"multiple\" holds one version of a model: --displace says where the one\n"
     "goes that is there. \"none\" is out of all stages.",
     FLAGS(FLAG_EXPECT_STAGE, FLAG_DISPLACE), 2, 2,
     EXAMPLES("clade version stage resnet50/7 production --displace archived",
              "clade version stage resnet50/7 staging --expect none --reason 'passed review'"),
     NULL, run_version_stage},
    {"version promote", "VERSION", "put a version into use: alias, stage and deployments in one transaction",
     "All of it happens, or nothing: exit code 4 says what is there now. Going back is the same, with\n"
     "the version before. \"clade help promotion\" says more.",
     FLAGS(FLAG_ALIAS, FLAG_EXPECT, FLAG_TO_STAGE, FLAG_DISPLACE, FLAG_DEPLOYMENT, FLAG_IF), 1, 1,
     EXAMPLES("clade version promote fraud/7 --alias champion --expect 6 --stage production "
              "--displace archived --deployment prod/eu/fraud --reason 'auc 0.91, was 0.89'",
              "clade version promote fraud/7 --alias champion --if \"tags.reviewed = 'yes'\" --dry-run"),
     NULL, run_version_promote},
    HISTORY("version", "resnet50/7"),

    {"alias set", "MODEL ALIAS VERSION", "point an alias of a model to one of its versions",
     "VERSION is a number, or a reference: MODEL/7, MODEL@latest.", FLAGS(FLAG_EXPECT), 3, 3,
     EXAMPLES("clade alias set resnet50 champion 7",
              "clade alias set resnet50 champion 8 --expect 7 --reason 'beat it by 2 points'",
              "clade alias set resnet50 candidate resnet50@latest"),
     NULL, run_alias_set},
    {"alias unset", "MODEL ALIAS", "take an alias away", NULL, FLAGS(FLAG_EXPECT), 2, 2,
     EXAMPLES("clade alias unset resnet50 champion --expect 7"), NULL, run_alias_unset},
    {"alias get", "MODEL ALIAS...", "show the versions that aliases point to", NULL,
     FLAGS(READ_FLAGS), 2, COMMAND_ARGS_ANY,
     EXAMPLES("clade alias get resnet50 champion", "clade get version/resnet50@champion"), NULL,
     run_alias_get},
    {"alias list", "MODEL...", "show the aliases of models", STDIN_HELP, NULL, 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade alias list resnet50", "clade alias list resnet50 --as-of 2026-03-01"), NULL,
     run_alias_list},

    {"alias history", "MODEL...", "show what changed of models and moved their aliases, newest first", HISTORY_HELP,
     FLAGS(FLAG_LIMIT, FLAG_STATE), 1, COMMAND_ARGS_ANY, EXAMPLES("clade alias history resnet50"),
     "model", run_history},

    CREATE("deployment", "PATH...", 1,
           FLAGS(COMMON_FLAGS, FLAG_DESIRED, FLAG_OBSERVED, FLAG_ENDPOINT, MAKE_FLAGS),
           "clade deployment create prod/eu/fraud --desired running --endpoint https://fraud.eu"),
    GET("deployment", "clade deployment get prod/eu/fraud"),
    LIST("deployment", FLAGS(READ_FLAGS), "clade deployment list"),
    UPDATE("deployment",
           FLAGS(COMMON_FLAGS, UPDATE_FLAGS, FLAG_DESIRED, FLAG_OBSERVED, FLAG_ENDPOINT, FLAG_AS),
           "clade deployment update prod/eu/fraud --observed degraded"),
    RENAME("deployment", "clade deployment rename prod/eu/fraud prod/eu/fraud-2"),
    DELETE("deployment", "clade deployment delete prod/eu/fraud"),
    PURGE("deployment", "clade deployment purge prod/eu/fraud --reason 'its owner asked'", "clade deployment purge id/1234"),
    UNDELETE("deployment", "clade deployment undelete prod/eu/fraud"),
    HISTORY("deployment", "prod/eu/fraud"),
    {"deployment set", "PATH VERSION[=SHARE]...", "say which versions a deployment serves",
     "They replace those that it served. SHARE is in percent (\"90%\") or in 1/10,000 (\"9000\"); all of\n"
     "it where none is given. The shares add up to 100%.",
     FLAGS(FLAG_SHADOW), 2, COMMAND_ARGS_ANY,
     EXAMPLES("clade deployment set prod/eu/fraud fraud/7",
              "clade deployment set prod/eu/fraud fraud/7=90% fraud/8=10% --shadow fraud/9=5%"),
     NULL, run_deployment_set},
    {"deployment clear", "PATH", "say that a deployment serves nothing", NULL, NULL, 1, 1,
     EXAMPLES("clade deployment clear prod/eu/fraud"), NULL, run_deployment_set},

    CREATE("namespace", "PATH...", 1,
           FLAGS(FLAG_DESCRIPTION, FLAG_OWNER, FLAG_TAG, FLAG_PROP, FLAG_STAGE, SPACE_FLAGS, MAKE_FLAGS),
           "clade namespace create vision", "clade namespace create vision/edge --if-exists match",
           "clade namespace create ads --stage canary:in-use --stage live:in-use --stage old:multiple"),
    UPDATE("namespace",
           FLAGS(FLAG_DESCRIPTION, FLAG_OWNER, FLAG_TAG, FLAG_UNTAG, FLAG_PROP, FLAG_UNPROP, FLAG_STAGE,
                 SPACE_FLAGS, FLAG_NO_DEFAULT, FLAG_AS),
           "clade namespace update vision --owner vision-team",
           "clade namespace update vision --quota things=1000000 --quota writes_per_s=500",
           "clade namespace update vision --retention 90d --default artifact.type=dataset"),
    {"namespace delete", "PATH...", "delete empty namespaces",
     "Nothing live may be in one, and none may stand under it. " BULK_HELP, NULL, 1,
     COMMAND_ARGS_ANY, EXAMPLES("clade namespace delete vision/edge"), "namespace", run_delete},
    {"namespace compact", "PATH...", "let go of the history of namespaces before a time",
     "Reads as of earlier are refused (COMPACTED) from then on; each node takes\n"
     "the rows away in the background. What is held keeps its history, and nothing goes that is younger\n"
     "than 15 minutes. Namespaces under it are compacted by themselves. " BULK_HELP,
     FLAGS(FLAG_BEFORE), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade namespace compact vision --before 2026-01-01", "clade namespace compact vision --before 2026-03-01T12:00:00 --reason 'the year is closed'"),
     "namespace", run_compact},
    GET("namespace", "clade namespace get vision"),
    LIST("namespace", FLAGS(READ_FLAGS), "clade namespace list"),
    HISTORY("namespace", "vision"),
    CREATE("type", "KIND:NAME...", 1,
           FLAGS(FLAG_DESCRIPTION, FLAG_OWNER, FLAG_TAG, FLAG_PROP, FLAG_FIELD, FLAG_CLOSED, FLAG_OPEN, FLAG_CYCLIC,
                 MAKE_FLAGS),
           "clade type create artifact:dataset",
           "clade type create run:training --closed --field lr:float,required --field 'seen:int,unit=rows'"),
    GET("type", "clade type get artifact:dataset"),
    LIST("type", FLAGS(READ_FLAGS), "clade type list"),
    UPDATE("type",
           FLAGS(FLAG_DESCRIPTION, FLAG_OWNER, FLAG_TAG, FLAG_UNTAG, FLAG_PROP, FLAG_UNPROP, FLAG_FIELD,
                 FLAG_CLOSED, FLAG_OPEN, FLAG_CYCLIC, FLAG_AS),
           "clade type update run:training --field 'seed:int,fixed'"),
    RENAME("type", "clade type rename run:train run:training"),
    DELETE("type", "clade type delete run:training"),
    UNDELETE("type", "clade type undelete run:training"),
    HISTORY("type", "artifact:dataset"),

    {"hold", "REF...", "refuse deletion of things until they are released",
     "Why is said by --reason. " STDIN_HELP, NULL, 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade hold model/resnet50 --reason 'audit 2026-12'"), NULL, run_hold},
    {"release", "REF...", "let things that are held be deleted again", STDIN_HELP, NULL, 1,
     COMMAND_ARGS_ANY, EXAMPLES("clade release model/resnet50"), NULL, run_release},

    {"get", "REF...", "show things of any kind",
     "References: KIND/NAME, version/MODEL/7, version/MODEL@ALIAS, //TEAM//KIND/NAME, id/12,\n"
     "KIND/ext:SYSTEM:ID, digest:ALGO:VALUE, uri:URI. " STDIN_HELP,
     FLAGS(READ_FLAGS), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade get model/resnet50 version/resnet50@latest",
              "clade get digest:sha256:2c26b4... -w json", "clade get uri:s3://bucket/weights"), NULL, run_get},
    {"history", "REF...", "show what each revision changed of things of any kind, newest first",
     HISTORY_HELP, FLAGS(FLAG_LIMIT, FLAG_STATE), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade history version/resnet50/7", "clade history id/1234 --as-of 2026-03-01"), NULL,
     run_history},
    {"log", "REF...", "log params and points of metrics to things of any kind",
     "A param is written once. Points may come in any order, and again.\n" BULK_HELP,
     FLAGS(FLAG_PARAM, FLAG_METRIC, FLAG_STEP, FLAG_TIME, FLAG_ON, FLAG_LOGGED_BY), 1,
     COMMAND_ARGS_ANY,
     EXAMPLES("clade log version/resnet50/7 --metric acc=0.76 --on artifact/imagenet-val "
              "--run nightly-7"),
     NULL, run_log},
    {"metrics", "REF [KEY...]", "show the points of metrics",
     "Of each series (a KEY, and what it was measured on) its points in order. A sample keeps, of\n"
     "equal stretches of a series, the first, the least, the greatest and the last point.",
     FLAGS(FLAG_LAST, FLAG_SAMPLE, FLAG_FROM_STEP, FLAG_TO_STEP, FLAG_FROM, FLAG_TO, FLAG_ON,
           FLAG_LIMIT),
     1, COMMAND_ARGS_ANY,
     EXAMPLES("clade metrics run/nightly-7 loss", "clade metrics run/nightly-7 --last",
              "clade -w json metrics run/nightly-7 loss --sample 400 --from-step 1000"),
     NULL, run_metrics},
    {"link", "FROM LABEL TO", "say that FROM depends on TO",
     "With the one argument \"-\", lines of stdin: FROM, LABEL and TO between tabs. An edge that is\n"
     "there gets the props that are given, and keeps its others.",
     FLAGS(FLAG_PROP, FLAG_UNPROP), 1, 3,
     EXAMPLES("clade link version/resnet50/7 trained_on artifact/imagenet-1k",
              "clade link version/merged/1 merged_from version/a/3 --prop weight=0.5",
              "clade link - < edges.tsv"), "link", run_link},
    {"unlink", "FROM LABEL TO", "take an edge away", "Lines of stdin with \"-\", as for link.",
     NULL, 1, 3, EXAMPLES("clade unlink version/resnet50/7 trained_on artifact/imagenet-1k"),
     "unlink", run_link},
    {"search", "KIND [QUERY]", "find the things that are as a query says", SEARCH_HELP,
     FLAGS(READ_FLAGS), 1, 2,
     EXAMPLES("clade search run \"status = 'finished' AND metrics.acc > 0.9 ORDER BY metrics.acc DESC\" --limit 10",
              "clade search version \"depends_on('artifact/reviews-03') AND stage = 'production'\"",
              "clade search artifact \"name LIKE 'reviews-%' AND tags.team = 'nlp'\""),
     NULL, run_search},
    {"count", "KIND [QUERY]", "count the things that are as a query says",
     "The query is that of search. With --by they are counted by what they have under a key.",
     FLAGS(FLAG_BY, FLAG_STATE), 1, 2,
     EXAMPLES("clade count run \"metrics.acc > 0.9\"", "clade count run --by status"), NULL, run_count},
    {"explain", "KIND [QUERY]", "show how a search is answered, and what it reads",
     "The search is run, its things are not shown. --limit as of search.",
     FLAGS(FLAG_LIMIT, FLAG_STATE), 1, 2,
     EXAMPLES("clade explain run \"tags.team = 'nlp' AND params.lr < 0.1\""), NULL, run_explain},
    {"lineage up", "REF...", "what it was made from, and what that was made from", STDIN_HELP,
     FLAGS(WALK_FLAGS, FLAG_KINDS, FLAG_VIEW), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade lineage up version/resnet50/7",
              "clade lineage up version/resnet50/7 --kinds artifact --depth 2",
              "clade lineage up version/resnet50/7 --tree"), "up", run_lineage},
    {"lineage down", "REF...", "what was made from it, and what was made from that", STDIN_HELP,
     FLAGS(WALK_FLAGS, FLAG_KINDS, FLAG_VIEW), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade lineage down artifact/imagenet-1k --count",
              "clade lineage down artifact/imagenet-1k --labels trained_on,derived_from",
              "clade lineage down artifact/imagenet-1k --query \"stage = 'production'\"",
              "clade lineage down artifact/imagenet-1k --dot | dot -Tsvg > lineage.svg"),
     "down", run_lineage},
    {"watch", "", "show transactions as they are committed",
     "Each of them once, in order, whichever node is asked and whichever goes away. With --namespace\n"
     "only those that change something there or below. It ends with Ctrl-C, and says where to go on.",
     FLAGS(FLAG_FROM_REVISION, FLAG_EVENTS, FLAG_KINDS, FLAG_PREFIX, FLAG_QUERY), 0, 0,
     EXAMPLES("clade watch", "clade watch --kinds version,deployment -n vision",
              "clade -w ndjson watch --from 1 --query \"stage = 'production'\" --count 10"),
     NULL, run_watch},
    {"audit", "[REF]", "show who changed what, when and why, newest first",
     "Of one thing, or of all. With --namespace only what is there or below.",
     FLAGS(FLAG_BY_USER, FLAG_SINCE, FLAG_UNTIL, FLAG_KINDS, FLAG_PREFIX, FLAG_QUERY, FLAG_LIMIT, FLAG_CSV), 0, 1,
     EXAMPLES("clade audit --by ann --from 2026-03-01", "clade audit model/resnet50 --limit 10",
              "clade -w ndjson audit --from 2026-03-01 --to 2026-03-31 > march.ndjson"),
     NULL, run_audit},
    {"impact", "REF...", "what of that which was made from it is in use, and by which way",
     "In use is a version that an alias points to, that is in a stage in use (staging and\n"
     "production, unless the namespace says otherwise) or that a deployment serves. All labels but\n"
     "evaluated_on are followed. " STDIN_HELP,
     FLAGS(WALK_FLAGS), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade impact artifact/imagenet-1k", "clade impact artifact/imagenet-1k --tree",
              "clade -w json impact artifact/imagenet-1k"), "impact", run_lineage},
    {"provenance", "REF...", "the bill of materials: data, code, runs and parents, with digests",
     "All labels but evaluated_on are followed. " STDIN_HELP,
     FLAGS(WALK_FLAGS, FLAG_KINDS, FLAG_VIEW), 1, COMMAND_ARGS_ANY,
     EXAMPLES("clade provenance version/resnet50/7",
              "clade -w json provenance version/resnet50/7 --view full > bill.json"),
     "provenance", run_lineage},
    {"paths", "FROM TO", "how one thing was made from the other: the shortest way",
     "Up: FROM was made from TO; down: TO was made from FROM.",
     FLAGS(FLAG_DIRECTION, FLAG_LABELS, FLAG_DEPTH, FLAG_PATHS_LIMIT, FLAG_STATE, FLAG_DOT), 2, 2,
     EXAMPLES("clade paths version/resnet50/7 artifact/imagenet-1k",
              "clade paths artifact/imagenet-1k version/resnet50/7 --limit 10 --dot"), NULL,
     run_paths},
    {"diff", "FROM [TO]", "what differs between two things, or in one since then",
     "Fields, params, the last values of metrics, and what only one of the two was made from. Of two\n"
     "versions this says why they differ.",
     FLAGS(FLAG_FROM_AS_OF, FLAG_LABELS, FLAG_DEPTH, FLAG_DIFF_LIMIT, FLAG_STATE), 1, 2,
     EXAMPLES("clade diff version/resnet50/6 version/resnet50/7",
              "clade diff version/resnet50/7 --from-as-of 2026-03-01"), NULL, run_diff},
    {"txn", "[FILE]", "run a transaction, whole or not at all",
     "FILE (default: stdin) is one JSON document: {\"guards\": [...], \"ops\": [...], \"reason\": ...}",
     NULL, 0, 1,
     EXAMPLES("clade txn release.json",
              "echo '{\"ops\":[{\"op\":\"create\",\"kind\":\"model\",\"name\":\"m\"}]}' | clade txn"),
     NULL, run_txn},
    {"import", "[FILE...]", "read NDJSON transactions, a graph, or events of OpenLineage",
     "Each line of a FILE (default: stdin) is a transaction or an operation; with --openlineage an\n"
     "event. A graph is two TSV files. A bad line is reported and the rest goes on; running it again\n"
     "makes nothing twice.",
     FLAGS(FLAG_NODES_FILE, FLAG_EDGES_FILE, FLAG_HEADER, FLAG_OPENLINEAGE, FLAG_RATE, FLAG_CREATE_NAMESPACE,
           FLAG_STRICT),
     0, COMMAND_ARGS_ANY,
     EXAMPLES("clade import dump.ndjson", "clade export | clade -e other:7400 import",
              "clade import --nodes nodes.tsv --edges edges.tsv --create-namespace -n hub",
              "clade import --openlineage events.ndjson"),
     NULL, run_import},
    {"export", "", "write all live things and edges as NDJSON, at one revision",
     "Of every namespace, or of the one given with --namespace. --consistency local takes what a\n"
     "node has when there is no quorum.",
     NULL, 0, 0,
     EXAMPLES("clade export > dump.ndjson", "clade export --as-of 2026-03-01 -n vision",
              "clade export --consistency local > rescued.ndjson"),
     NULL, run_export},
    {"describe", "", "count what the namespace and the store hold", NULL, NULL, 0, 0,
     EXAMPLES("clade describe", "clade describe -w json"), "describe", run_show},
    {"limits", "", "show the store's limits", NULL, NULL, 0, 0, EXAMPLES("clade limits"), "limits",
     run_show},
    {"cluster status", "", "ask each node how it is: who leads, lag, sizes, clocks, alarms",
     "One node says who the others are, then each is asked for itself. A node that does not answer\n"
     "within 2 s (--timeout) is shown as such. -w json has all that each says.",
     NULL, 0, 0,
     EXAMPLES("clade cluster status", "clade -e node2:7400 cluster status -w json"), NULL,
     run_status},
    {"cluster member list", "", "show the nodes: what each is, and what it is on its way to", NULL,
     NULL, 0, 0, EXAMPLES("clade cluster member list"), NULL, run_member_list},
    {"cluster member add", "ID=HOST:PORT", "take a new node into the cluster",
     "HOST:PORT is where it listens for the other nodes; ID a number that no node ever had. It\n"
     "shows what to run on the new machine. The node catches up, becomes a standby, then a voter.\n"
     "To other machines one node after the other goes (runbook: moving the cluster).",
     FLAGS(FLAG_NO_PROMOTE, FLAG_NO_WAIT), 1, 1,
     EXAMPLES("clade cluster member add 4=10.0.0.4:7401",
              "clade cluster member add 4=10.0.0.4:7401 --no-promote --timeout 1h"),
     "add", run_member},
    {"cluster member promote", "ID", "make a standby a voter", MEMBER_HELP, FLAGS(FLAG_NO_WAIT), 1, 1,
     EXAMPLES("clade cluster member promote 4"), "promote", run_member},
    {"cluster member demote", "ID", "make a voter a standby", MEMBER_HELP, FLAGS(FLAG_NO_WAIT), 1, 1,
     EXAMPLES("clade cluster member demote 4"), "demote", run_member},
    {"cluster member remove", "ID", "take a node out of the cluster, for ever",
     "The node stops and its folder is of no more use. Its id is not given again.\n" MEMBER_HELP,
     FLAGS(FLAG_NO_WAIT), 1, 1,
     EXAMPLES("clade cluster member remove 2", "clade cluster member remove 2 --no-wait"), "remove",
     run_member},
    {"cluster backup", "FILE", "write the whole store to a file, while it is used",
     "The file holds all that was acknowledged when the command began, history too, as of one\n"
     "revision; \"claded restore\" makes a new cluster of it. With --since it holds what was written\n"
     "since another backup, as long as the node's archive reaches back to it. It is written as\n"
     "FILE.tmp and renamed when it is whole and on the disk. The node gives it at its\n"
     "catch_up_rate_bytes a second; --consistency local takes what a node has when there is no quorum.",
     FLAGS(FLAG_SINCE_BACKUP, FLAG_FORCE), 1, 1,
     EXAMPLES("clade cluster backup monday.backup",
              "clade cluster backup tuesday.backup --since monday.backup"),
     NULL, run_backup},
    {"cluster verify", "", "compare what all nodes have, row by row, while they are used",
     "Each node reads all of its rows as of one and the same index of the log, in the background, at\n"
     "its catch_up_rate_bytes a second; their checksums and sums are compared. Exit code 0: all nodes\n"
     "answered, and have the same. 1: a node is damaged, differs from what a majority has, or did not\n"
     "answer; it is named, with what to do. Ended, it leaves nothing: nodes stop within ten seconds.",
     NULL, 0, 0, EXAMPLES("clade cluster verify", "clade cluster verify -w json"), NULL, run_verify},
    {"cluster leader", "", "show which node leads", NULL, NULL, 0, 0,
     EXAMPLES("clade cluster leader", "clade -w json cluster leader"), NULL, run_leader},
    {"cluster leader transfer", "[NODE]", "hand leadership over, to the best node or the one given",
     NULL, NULL, 0, 1, EXAMPLES("clade cluster leader transfer", "clade cluster leader transfer 2"),
     NULL, run_transfer},
    {"bench create", "", "measure artifact creates", NULL,
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_BYTES, FLAG_JSON), 0, 0,
     EXAMPLES("clade bench create --clients 64 --count 100000 --json"), "create", run_bench},
    {"bench version", "", "measure creates of versions", NULL,
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_REF, FLAG_REFS_FILE, FLAG_JSON), 0, 0,
     EXAMPLES("clade bench version --clients 64 --ref model/resnet50"), "version", run_bench},
    {"bench update", "", "measure updates of a tag of one thing each", NULL,
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_REF, FLAG_REFS_FILE, FLAG_JSON), 0, 0,
     EXAMPLES("clade bench update --clients 64 --count 100000"), "update", run_bench},
    {"bench txn", "", "measure transactions of 20 operations", NULL,
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_JSON), 0, 0,
     EXAMPLES("clade bench txn --clients 64 --count 10000"), "txn", run_bench},
    {"bench log", "", "measure batches of metric points", NULL,
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_SERIES, FLAG_POINTS, FLAG_JSON), 0, 0,
     EXAMPLES("clade bench log --clients 8 --count 2000 --series 10 --points 1000"), "log",
     run_bench},
    {"bench get", "", "measure reads of things", NULL,
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_REF, FLAG_REFS_FILE, FLAG_EACH,
           FLAG_JSON), 0, 0,
     EXAMPLES("clade bench get --clients 64 --ref artifact/imagenet-1k",
              "clade bench get --refs names --each 100"), "get", run_bench},
    {"bench closure", "", "measure counts of all that depends on a thing",
     "With --view the things themselves, up to 10,000: ids (with depths), heads or full.",
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_REF, FLAG_LABELS, FLAG_VIEW, FLAG_JSON),
     0, 0,
     EXAMPLES("clade bench closure --clients 1 --count 100 --ref artifact/imagenet-1k",
              "clade bench closure --clients 1 --count 100 --ref artifact/imagenet-1k --view ids"),
     "closure", run_bench},
    {"bench impact", "", "measure what of all that depends on a thing is in use", NULL,
     FLAGS(FLAG_CLIENTS, FLAG_CONNECTIONS, FLAG_COUNT, FLAG_REF, FLAG_LABELS, FLAG_JSON), 0, 0,
     EXAMPLES("clade bench impact --clients 1 --count 100 --ref artifact/imagenet-1k"), "impact",
     run_bench},
    {"completion", "SHELL", "print what a shell completes commands with",
     "SHELL is bash, zsh or fish. The scripts ask \"clade completion words -- WORD...\" what may follow.",
     NULL, 1, COMMAND_ARGS_ANY,
     EXAMPLES("source <(clade completion bash)", "clade completion zsh > ~/.zfunc/_clade",
              "clade completion fish > ~/.config/fish/completions/clade.fish"), NULL, run_completion},
    {"help", "[COMMAND|WORD]", "show help for a command, or what a word means", NULL, NULL, 0,
     COMMAND_ARGS_ANY,
     EXAMPLES("clade help artifact create", "clade help alias", "clade help promotion"), NULL,
     run_help},
};
/* clang-format on */

const size_t commands_len = sizeof commands / sizeof *commands;

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < commands_len; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool command_is_group(const char *words)
{
    size_t len = strlen(words);
    for (size_t i = 0; i < commands_len; i++) {
        if (strncmp(commands[i].name, words, len) == 0 && commands[i].name[len] == ' ') {
            return true;
        }
    }
    return false;
}
