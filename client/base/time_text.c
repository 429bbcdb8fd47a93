#include "base/time_text.h"

#include <stdio.h>

#include <clade.h>

#define US_PER_S  UINT64_C(1000000)
#define S_PER_DAY UINT64_C(86400)

enum { YEAR_MIN = 1970, YEAR_MAX = 9999 };

/* Days from 1970-01-01 to the given day of the proleptic Gregorian calendar. The year is taken
 * to begin in March, so that the leap day is its last; an era is 400 years. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The reverse. */
static void civil_from_days(uint64_t days, uint64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    uint64_t era = days / 146097;
    uint64_t day_of_era = days % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t m = (5 * day_of_year + 2) / 153;
    *day = (unsigned)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (unsigned)(m < 10 ? m + 3 : m - 9);
    *year = era * 400 + year_of_era + (*month <= 2);
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* What is left of the text. Each take_ moves it on, or answers false. */
static bool take_digits(struct span *s, size_t n, unsigned *ret)
{
    unsigned v = 0;
    if (s->len < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->data[i] < '0' || s->data[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(s->data[i] - '0');
    }
    *s = span_skip(*s, n);
    *ret = v;
    return true;
}

static bool take_one_of(struct span *s, const char *chars, char *ret)
{
    if (s->len == 0 || s->data[0] == '\0' || strchr(chars, s->data[0]) == NULL) {
        return false;
    }
    *ret = (char)s->data[0];
    *s = span_skip(*s, 1);
    return true;
}

static bool take_date(struct span *s, int64_t *ret_days)
{
    unsigned year;
    unsigned month;
    unsigned day;
    char c;
    if (!take_digits(s, 4, &year) || !take_one_of(s, "-", &c) || !take_digits(s, 2, &month) ||
        !take_one_of(s, "-", &c) || !take_digits(s, 2, &day)) {
        return false;
    }
    /* A day before 1970 may still be a time in 1970, west of Greenwich. */
    if (year < YEAR_MIN - 1 || month < 1 || month > 12 || day < 1 ||
        day > days_of_month(year, month)) {
        return false;
    }
    *ret_days = days_from_civil(year, month, day);
    return true;
}

/* ".5": digits past the microseconds are dropped. */
static bool take_fraction(struct span *s, int64_t *ret_us)
{
    int64_t us = 0;
    int64_t unit = 100000;
    char c;
    if (!take_one_of(s, ".", &c)) {
        *ret_us = 0;
        return true;
    }
    unsigned digit;
    if (!take_digits(s, 1, &digit)) {
        return false;
    }
    do {
        us += (int64_t)digit * unit;
        unit /= 10;
    } while (take_digits(s, 1, &digit));
    *ret_us = us;
    return true;
}

static bool take_offset(struct span *s, int64_t *ret_s)
{
    char sign;
    char colon;
    unsigned hours;
    unsigned minutes;
    if (!take_one_of(s, "Zz+-", &sign)) {
        return false;
    }
    if (sign == 'Z' || sign == 'z') {
        *ret_s = 0;
        return true;
    }
    if (!take_digits(s, 2, &hours) || !take_one_of(s, ":", &colon) ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    int64_t offset = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *ret_s = sign == '-' ? -offset : offset;
    return true;
}

/* What follows the date, as microseconds from its midnight in UTC, which may be negative. */
static bool take_time(struct span *s, int64_t *ret_us)
{
    unsigned hour;
    unsigned minute;
    unsigned second;
    int64_t us;
    int64_t offset;
    char c;
    if (!take_one_of(s, "Tt ", &c) || !take_digits(s, 2, &hour) || !take_one_of(s, ":", &c) ||
        !take_digits(s, 2, &minute) || !take_one_of(s, ":", &c) || !take_digits(s, 2, &second) ||
        !take_fraction(s, &us) || !take_offset(s, &offset)) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    int64_t at = (int64_t)hour * 3600 + (int64_t)minute * 60 + second - offset;
    /* A leap second is the last of a day in UTC; it counts as the first of the next. */
    if (second == 60 && at % (int64_t)S_PER_DAY != 0) {
        return false;
    }
    *ret_us = at * (int64_t)US_PER_S + us;
    return true;
}

int time_parse(struct span text, uint64_t *ret_us)
{
    const int64_t day_us = (int64_t)(S_PER_DAY * US_PER_S);
    int64_t days;
    int64_t us;
    if (!take_date(&text, &days)) {
        return CLADE_ERR_INVALID;
    }
    if (text.len == 0) {
        us = day_us - 1;
    } else if (!take_time(&text, &us) || text.len > 0) {
        return CLADE_ERR_INVALID;
    }
    us += days * day_us;
    if (us < 0 || us > (int64_t)TIME_US_MAX) {
        return CLADE_ERR_INVALID;
    }
    *ret_us = (uint64_t)us;
    return 0;
}

void time_format(uint64_t us, char text[TIME_TEXT_BYTES])
{
    uint64_t year;
    unsigned month;
    unsigned day;
    uint64_t seconds = us / US_PER_S;
    unsigned fraction = (unsigned)(us % US_PER_S);
    unsigned of_day = (unsigned)(seconds % S_PER_DAY);
    civil_from_days(seconds / S_PER_DAY, &year, &month, &day);
    int n =
        snprintf(text, TIME_TEXT_BYTES, "%04llu-%02u-%02uT%02u:%02u:%02u", (unsigned long long)year,
                 month, day, of_day / 3600, of_day / 60 % 60, of_day % 60);
    if (fraction == 0) {
        snprintf(text + n, TIME_TEXT_BYTES - (size_t)n, "Z");
    } else {
        snprintf(text + n, TIME_TEXT_BYTES - (size_t)n, ".%06uZ", fraction);
    }
}
