#pragma once
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "base/span.h"

bool utf8_is_valid(struct span s);
/* Valid and without control characters (U+0000..U+001F, U+007F..U+009F). */
bool utf8_is_printable(struct span s);
/* The length in bytes of the printable character that s begins with; 0 when it begins with
 * anything else, or is empty. */
size_t utf8_printable_at(struct span s);
