/* SPDX-License-Identifier: Apache-2.0 */
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"

struct unit {
	const char *name;
	double factor;
};

/* Larger units first: the formatters take the first that fits. */
static const struct unit size_units[] = {
	{ "TiB", 1099511627776.0 }, { "GiB", 1073741824.0 }, { "MiB", 1048576.0 },
	{ "KiB", 1024.0 },          { "B", 1.0 },            { NULL, 0 },
};
static const struct unit size_short_units[] = {
	{ "T", 1099511627776.0 }, { "G", 1073741824.0 }, { "M", 1048576.0 },
	{ "K", 1024.0 },          { "", 1.0 },           { NULL, 0 },
};
static const struct unit duration_units[] = {
	{ "h", 3600e9 }, { "m", 60e9 },  { "s", 1e9 }, { "ms", 1e6 },
	{ "us", 1e3 },   { "ns", 1.0 },  { NULL, 0 },
};
static const struct unit rate_units[] = {
	{ "Tbit", 1e12 }, { "Gbit", 1e9 }, { "Mbit", 1e6 }, { "kbit", 1e3 }, { "bit", 1.0 },
	{ NULL, 0 },
};

static const struct unit *unit_find(const struct unit *units, const char *name)
{
	for (; units->name; units++)
		if (strcasecmp(units->name, name) == 0)
			return units;
	return NULL;
}

static int quantity_parse(const char *text, const struct unit *units, const struct unit *others,
			  uint64_t *ret)
{
	const struct unit *u;
	char *end;
	double value;

	/* strtod() alone would take "nan", "0x1p9", "-1" and leading space. */
	if (!isdigit((unsigned char)text[0]) || tolower((unsigned char)text[1]) == 'x')
		return -EINVAL;
	value = strtod(text, &end);
	u = unit_find(units, end);
	if (!u && others)
		u = unit_find(others, end);
	if (!u)
		return -EINVAL;
	value *= u->factor;
	if (!(value < 9.2e18))
		return -ERANGE;
	*ret = (uint64_t)llround(value);
	return 0;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	return quantity_parse(text, size_short_units, size_units, ret_bytes);
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
	return quantity_parse(text, duration_units, NULL, ret_ns);
}

int rate_parse(const char *text, uint64_t *ret_bits_per_s)
{
	return quantity_parse(text, rate_units, NULL, ret_bits_per_s);
}

static const char *quantity_format(uint64_t value, const struct unit *units, const char *per,
				   char text[UNITS_TEXT_SIZE])
{
	double v = (double)value;

	while (units[1].name && v < units->factor)
		units++;
	v /= units->factor;
	snprintf(text, UNITS_TEXT_SIZE, "%.*f %s%s",
		 units->factor == 1.0 || v >= 99.95 ? 0 : (v >= 9.995 ? 1 : 2), v, units->name, per);
	return text;
}

const char *size_format(uint64_t bytes, char text[UNITS_TEXT_SIZE])
{
	return quantity_format(bytes, size_units, "", text);
}

const char *duration_format(uint64_t ns, char text[UNITS_TEXT_SIZE])
{
	/* Minutes and hours with decimals read badly; seconds are clear up to hours. */
	return quantity_format(ns, duration_units + 2, "", text);
}

const char *rate_format(uint64_t bits_per_s, char text[UNITS_TEXT_SIZE])
{
	return quantity_format(bits_per_s, rate_units, "/s", text);
}

int instant_parse(const char *text, uint64_t *ret_utc_ns)
{
	static const char *const formats[] = { "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ" };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm = { 0 }, given;
		const char *end = strptime(text, formats[i], &tm);
		time_t seconds;

		if (!end || *end)
			continue;
		given = tm;
		seconds = timegm(&tm);
		/* The 31st of February is none, and not one in March. */
		if (given.tm_mday != tm.tm_mday || seconds < 0 || (uint64_t)seconds > UINT64_MAX / 1000000000)
			return -EINVAL;
		*ret_utc_ns = (uint64_t)seconds * 1000000000;
		return 0;
	}
	return -EINVAL;
}
