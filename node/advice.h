#pragma once
/* What whoever runs a node can do about an error that ends it. */

/* A sentence that names the page of the runbook, for errors of the disk's files; "" for others. */
const char *advice_for(int code);
