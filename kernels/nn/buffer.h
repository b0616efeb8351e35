/** @file kernels/nn/buffer.h
 *  Scratch memory that only grows, so that a forward pass allocates nothing after its first batch
 *  (page faults cost more than the arithmetic on small models). */
#ifndef LRP_KERNELS_NN_BUFFER_H
#define LRP_KERNELS_NN_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

/** Zeroed before the first use. */
typedef struct {
  void *data; /* owned, aligned to 64 bytes; NULL until something was reserved */
  size_t bytes;
} lrp_buffer;

/** Room for rows x cols elements of size bytes; old contents are lost. Local.
 *  @param[in] what  named in the message of a failure
 *  @return LRP_OK; LRP_ERR_MEM, and the buffer is empty */
lrp_status lrp_buffer_reserve(lrp_buffer *buffer, int64_t rows, int64_t cols, size_t size,
                              const char *what);

/** lrp_buffer_reserve for floats. Local. */
lrp_status lrp_buffer_floats(lrp_buffer *buffer, int64_t rows, int64_t cols, const char *what);

/** Release the memory. Local; accepts an empty one. */
void lrp_buffer_free(lrp_buffer *buffer);

#endif
