/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "search and response", 1900, true, false, APP_SSDP,
		  "> 'M-SEARCH * HTTP/1.1' 0d0a 'HOST: 239.255.255.250:1900' 0d0a 'MAN: \"ssdp:discover\"' 0d0a 'ST:ssdp:all' 0d0a 0d0a\n"
		  "< 'HTTP/1.1 200 OK' 0d0a 'st: upnp:rootdevice' 0d0a 'USN: uuid:1' 0d0a 'LOCATION: http://10.0.0.1/d.xml' 0d0a 'SERVER: x/1' 0d0a 0d0a",
		  "ssdp {'method':'M-SEARCH','target':'ssdp:all'}\n"
		  "ssdp {'method':'response','target':'upnp:rootdevice','usn':'uuid:1','location':'http://10.0.0.1/d.xml','server':'x/1'}\n" },
		{ "notify on any port, an end that is missing", 4000, true, false, APP_SSDP, "> 'NOTIFY * HTTP/1.1' 0d0a 'NT: a' 0d0a 'NTS: ssdp:alive' 0d0a 'nt: b' 0d0a 'USN: x'",
		  "ssdp {'method':'NOTIFY','target':'a','nts':'ssdp:alive'}\n" },
		{ "a response alone", 4000, true, false, APP_SSDP, "> 'HTTP/1.1 200 OK' 0d0a 'ST: a' 0d0a 'USN: b' 0d0a 0d0a", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "HTTP in a datagram", 1900, true, .talk = "> 'HTTP/1.1 200 OK' 0d0a 'Server: x' 0d0a 0d0a" },
		{ "another target", 1900, true, .talk = "> 'M-SEARCH / HTTP/1.1' 0d0a 0d0a" },
	};

	TALKS_REFUSED(APP_SSDP, v);
}

const struct unit_test tests_ssdp[] = {
	{ "messages", test_talk },
	{ "what is not SSDP is refused", test_refused },
	{ NULL, NULL },
};
