#include "kernels/nn/buffer.h"

#include <assert.h>
#include <stdlib.h>

enum { alignment = 64 };

lrp_status lrp_buffer_reserve(lrp_buffer *buffer, int64_t rows, int64_t cols, size_t size,
                              const char *what) {
  size_t count;
  size_t bytes;
  assert(rows >= 0 && cols >= 0);
  if (__builtin_mul_overflow((size_t)rows, (size_t)cols, &count) ||
      __builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - alignment) {
    lrp_buffer_free(buffer);
    return lrp_fail_memory(SIZE_MAX, what);
  }
  if (bytes <= buffer->bytes) return LRP_OK;
  lrp_buffer_free(buffer); /* before the new one: both together may not fit */
  bytes = (bytes + alignment - 1) / alignment * alignment;
  buffer->data = aligned_alloc(alignment, bytes);
  if (!buffer->data) return lrp_fail_memory(bytes, what);
  buffer->bytes = bytes;
  return LRP_OK;
}

lrp_status lrp_buffer_floats(lrp_buffer *buffer, int64_t rows, int64_t cols, const char *what) {
  return lrp_buffer_reserve(buffer, rows, cols, sizeof(float), what);
}

void lrp_buffer_free(lrp_buffer *buffer) {
  free(buffer->data);
  buffer->data = NULL;
  buffer->bytes = 0;
}
