#pragma once
/* What the commands do. Each returns the exit code. */
struct cli;

/* things: the command's subject is the kind */
int run_create(struct cli *cli);
int run_update(struct cli *cli);
int run_delete(struct cli *cli);
int run_rename(struct cli *cli);
int run_undelete(struct cli *cli);
/* of any kind: no subject */
int run_hold(struct cli *cli);
int run_release(struct cli *cli);
/* params and metrics: the subject is the kind of what they are logged to, NULL = any */
int run_log(struct cli *cli);
int run_finish(struct cli *cli);
int run_metrics(struct cli *cli);
int run_purge(struct cli *cli);
int run_compact(struct cli *cli);
/* reads: the subject is the kind, NULL for references of any kind */
int run_get(struct cli *cli);
int run_list(struct cli *cli);
int run_search(struct cli *cli);
int run_count(struct cli *cli);
int run_explain(struct cli *cli);
/* the subject is "up", "down", "impact" or "provenance" */
int run_lineage(struct cli *cli);
int run_paths(struct cli *cli);
int run_diff(struct cli *cli);
/* what points to versions */
int run_alias_set(struct cli *cli);
int run_alias_unset(struct cli *cli);
int run_alias_get(struct cli *cli);
int run_alias_list(struct cli *cli);
int run_version_stage(struct cli *cli);
int run_version_promote(struct cli *cli);
int run_deployment_set(struct cli *cli);
/* the subject is the kind, NULL for references of any kind */
int run_history(struct cli *cli);
/* transactions as they come, and those that were */
int run_watch(struct cli *cli);
int run_audit(struct cli *cli);
/* transactions: the subject is "link" or "unlink" */
int run_link(struct cli *cli);
int run_txn(struct cli *cli);
/* the subject is the method of the protocol */
int run_show(struct cli *cli);
int run_transfer(struct cli *cli);
int run_status(struct cli *cli);
int run_leader(struct cli *cli);
/* members of the cluster: the subject is the action of the protocol */
int run_member(struct cli *cli);
int run_member_list(struct cli *cli);
int run_backup(struct cli *cli);
int run_verify(struct cli *cli);
/* in and out */
int run_import(struct cli *cli);
int run_export(struct cli *cli);
/* the subject is what is measured: "create", "log", "get", "closure", "impact" */
int run_bench(struct cli *cli);
int run_help(struct cli *cli);
int run_completion(struct cli *cli);
