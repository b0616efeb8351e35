/** @file io/base/json_memory.h
 *  jansson when memory runs out.
 *
 *  It then answers as for a text that is no JSON, or leaves members out of a container that it was
 *  building. So its allocations are made here, where a failure is recorded, and whoever has
 *  parsed or built something passes the status through lrp_json_checked(). */
#ifndef LRP_IO_BASE_JSON_MEMORY_H
#define LRP_IO_BASE_JSON_MEMORY_H

#include "kernels/status.h"

/** Make jansson allocate here. Local; once, before its first use. Without it nothing is ever out of
 *  memory. */
void lrp_json_memory_init(void);

/** LRP_ERR_MEM if an allocation of jansson has failed since the start, which is recorded with its
 *  size; else st. Local. */
lrp_status lrp_json_checked(lrp_status st);

#endif
