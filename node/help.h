#pragma once
/* What claded says of itself: --help and the manual page, from one table. */
#include <stdio.h>

void help_print(FILE *to);
/* claded(8) */
void help_manual(FILE *to);
