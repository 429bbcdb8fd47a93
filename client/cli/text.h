#pragma once
/* Numbers, times and references between people and the protocol. */
#include "base/buffer.h"
#include "base/error.h"

#define TEXT_BYTES_MAX 64

/* "1,234,567" */
void text_count(uint64_t n, char text[TEXT_BYTES_MAX]);
/* "512 B", "12.3 KiB", "4.0 GiB" */
void text_size(uint64_t bytes, char text[TEXT_BYTES_MAX]);
/* "2026-03-01 12:00:00" in local time; "-" for 0. */
void text_local_time(uint64_t us, char text[TEXT_BYTES_MAX]);
/* "4s", "2m05s", "1h02m" */
void text_duration(uint64_t ms, char text[TEXT_BYTES_MAX]);

/* A whole decimal number, nothing else. */
bool text_parse_uint(const char *text, uint64_t *ret);
/* "250ms", "10s", "2m", "1h"; a bare number is in units of `bare_ms` milliseconds. */
bool text_parse_duration(const char *text, uint64_t bare_ms, uint64_t *ret_ms);
/* RFC 3339, or local time without an offset ("2026-03-01T12:00", "2026-03-01 12:00:00.5"), or a
 * date: its last microsecond in local time. Microseconds since 1970 UTC. */
bool text_parse_time(const char *text, uint64_t *ret_us);

/* Appends the reference that a person means by `text` where one of `kind` is expected: `text`
 * itself if it is one (KIND/..., //..., id/..., $...), else KIND/text. */
void text_append_ref(struct buffer *b, const char *kind, const char *text);
