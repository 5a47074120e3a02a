#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of zip, gzip and Ethernet. */
uint32_t crc32(const uint8_t *at, size_t size);

#endif
