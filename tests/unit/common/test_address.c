/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>

#include "common/address.h"
#include "common/cleanup.h"

Test(address, parses_and_formats)
{
	static const struct {
		const char *text;
		uint16_t default_port;
		const char *canonical;
	} cases[] = {
		{ "192.0.2.7:862", 0, "192.0.2.7:862" },
		{ "192.0.2.7", 862, "192.0.2.7:862" },
		{ "192.0.2.7:0", 862, "192.0.2.7:0" },
		{ "[2001:db8::7]:65535", 0, "[2001:db8::7]:65535" },
		{ "[2001:0db8::0007]", 1, "[2001:db8::7]:1" },
	};
	char text[ADDRESS_TEXT_SIZE];
	struct address a;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(address_parse(cases[i].text, cases[i].default_port, &a), 0, "%s",
			     cases[i].text);
		cr_assert_str_eq(address_format(&a, text), cases[i].canonical);
	}
	a = (struct address){ 0 };
	cr_assert_str_eq(address_format(&a, text), "none");
	cr_assert_eq(address_len(&a), 0);
	cr_assert(address_is_none(&a));
}

Test(address, refuses_what_is_none)
{
	static const char *const bad[] = {
		"", ":", ":862", "192.0.2.7", "192.0.2.7:", "192.0.2.7:65536", "192.0.2.7:-1",
		"192.0.2.7:862x", "192.0.2.7: 862", "192.0.2:862", "localhost:862", "2001:db8::7",
		"[2001:db8::7]", "[2001:db8::7", "[2001:db8::7]862", "[192.0.2.7]:862", "[]:862",
		"192.0.2.7:000000862",
		"1111111111111111111111111111111111111111111111111111111111111111:862",
	};
	struct address a = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(address_parse(bad[i], 0, &a), -EINVAL, "%s", bad[i]);
	cr_assert(address_is_none(&a));
}

Test(address, equal_means_family_address_and_port)
{
	static const char *const texts[] = {
		"192.0.2.7:862", "192.0.2.7:863", "192.0.2.8:862", "[2001:db8::7]:862",
		"[2001:db8::8]:862",
	};
	struct address a, b;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
			cr_assert_eq(address_parse(texts[i], 0, &a), 0);
			cr_assert_eq(address_parse(texts[k], 0, &b), 0);
			cr_assert_eq(address_equal(&a, &b), i == k);
		}
}

Test(address, another_host_has_the_same_port)
{
	static const struct {
		const char *endpoint, *host, *there; /* NULL: refused */
	} cases[] = {
		{ "192.0.2.7:862", "192.0.2.8", "192.0.2.8:862" },
		{ "tcp://192.0.2.7:862", "192.0.2.8", "192.0.2.8:862" },
		{ "192.0.2.7:862", "192.0.2.8:9", "192.0.2.8:862" },
		{ "192.0.2.7:862", "2001:db8::7", "[2001:db8::7]:862" },
		{ "[2001:db8::7]:862", "[2001:db8::8]", "[2001:db8::8]:862" },
		{ "tcp://tower-a:862", "192.0.2.8", NULL },
		{ "192.0.2.7:862", "", NULL },
		{ "192.0.2.7:862", "tower-b", NULL },
		{ "ipc:///run/x", "192.0.2.8", NULL },
	};
	char text[32], small[8];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = address_elsewhere(cases[i].endpoint, cases[i].host, text, sizeof(text));

		cr_assert_eq(r, cases[i].there ? 0 : -EINVAL, "%zu: %d", i, r);
		if (r == 0)
			cr_assert_str_eq(text, cases[i].there);
	}
	cr_assert_eq(address_elsewhere("192.0.2.7:862", "192.0.2.8", small, sizeof(small)), -ENOBUFS);
}
