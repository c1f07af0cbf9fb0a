/* SPDX-License-Identifier: GPL-2.0-or-later */
/* read CAPTURE...: the floor of everything that reads captures: libpcap hands over each packet, its first 64 bytes are touched. */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	uint64_t sum = 0, packets = 0;

	for (int i = 1; i < argc; i++) {
		char err[PCAP_ERRBUF_SIZE];
		pcap_t *p = pcap_open_offline(argv[i], err);
		struct pcap_pkthdr *h;
		const u_char *data;

		if (!p) {
			fprintf(stderr, "%s: %s\n", argv[i], err);
			return 1;
		}
		for (; pcap_next_ex(p, &h, &data) == 1; packets++) {
			uint64_t words[8] = { 0 };

			memcpy(words, data, h->caplen < sizeof(words) ? h->caplen : sizeof(words));
			for (unsigned k = 0; k < 8; k++)
				sum += words[k];
		}
		pcap_close(p);
	}
	printf("%llu packets, %016llx\n", (unsigned long long)packets, (unsigned long long)sum);
	return 0;
}
