#pragma once
/* What the process's exit status tells whoever started it: whether starting it again can help. */

enum exit_status {
    EXIT_DONE,   /* it was asked to stop, or was removed from its cluster */
    EXIT_FAILED, /* an error that may be gone at the next start: a port in use, a disk, memory */
    EXIT_USAGE,  /* the command line or a setting is wrong */
    EXIT_UNFIT,  /* the data folder is damaged, of a newer version or of a removed node: another
                    start comes to the same */
    EXIT_INTERRUPTED = 130 /* a second signal while it stopped */
};

/* The status for an error of this class (CLADE_ERR_*) that ends a process. */
enum exit_status exit_status_of(int code);
