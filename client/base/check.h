#pragma once
/* CHECK: an assertion that is always on. One condition, no side effect. Only for what our own
 * code promises; bytes from clients, peers and disk get errors instead. */

/* Prints where and what to stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
