#include "kernels/linalg/scratch.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { alignment = 64, huge_page = 2 << 20 };

/* A block is a header and room bytes behind it; what was taken lies in [0, used) of the room. */
struct lrp_scratch_block {
  struct lrp_scratch_block *older;
  size_t bytes; /* of the mapping */
  size_t used;
  size_t below; /* taken in older blocks when this one was begun */
};

enum { header = (sizeof(struct lrp_scratch_block) + alignment - 1) / alignment * alignment };

static size_t room(const struct lrp_scratch_block *b) {
  return b->bytes - header;
}

/* In huge pages where the system has them: fewer faults, fewer TLB misses. */
static struct lrp_scratch_block *map_block(size_t bytes) {
  const size_t whole = (bytes + header + huge_page - 1) / huge_page * huge_page;
  void *p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  madvise(p, whole, MADV_HUGEPAGE); /* a hint */
  struct lrp_scratch_block *b = p;
  *b = (struct lrp_scratch_block){.bytes = whole};
  return b;
}

/* An empty scratch keeps one block that would have held all it ever needed. */
static size_t size_of_next(const lrp_scratch *s, size_t bytes) {
  const size_t least = s->in_use == 0 && s->peak > bytes ? s->peak : bytes;
  return least > s->in_use / 2 ? least : s->in_use / 2;
}

static void drop_newest(lrp_scratch *s) {
  struct lrp_scratch_block *b = s->blocks;
  s->blocks = b->older;
  munmap(b, b->bytes);
}

static struct lrp_scratch_block *block_for(lrp_scratch *s, size_t bytes) {
  if (s->blocks && room(s->blocks) - s->blocks->used >= bytes) return s->blocks;
  if (s->in_use == 0 && s->blocks) drop_newest(s); /* too small to be of use again */
  struct lrp_scratch_block *b = map_block(size_of_next(s, bytes));
  if (!b) b = map_block(bytes);
  if (!b) return NULL;
  b->older = s->blocks;
  b->below = s->in_use;
  s->blocks = b;
  return b;
}

void *lrp_scratch_take(lrp_scratch *s, lrp_status *status, int64_t rows, int64_t cols,
                       size_t size) {
  size_t bytes;
  if (*status != LRP_OK) return NULL;
  if (__builtin_mul_overflow((size_t)rows, (size_t)cols, &bytes) ||
      __builtin_mul_overflow(bytes, size, &bytes) || bytes > SIZE_MAX / 4) {
    *status = lrp_fail_memory(SIZE_MAX, "the work of a decomposition");
    return NULL;
  }
  bytes = (bytes + alignment) / alignment * alignment; /* never nothing */
  struct lrp_scratch_block *b = block_for(s, bytes);
  if (!b) {
    *status = lrp_fail_memory(bytes, "the work of a decomposition");
    return NULL;
  }
  char *p = (char *)b + header + b->used;
  b->used += bytes;
  s->in_use = b->below + b->used;
  if (s->in_use > s->peak) s->peak = s->in_use;
  return p;
}

size_t lrp_scratch_mark(const lrp_scratch *s) {
  return s->in_use;
}

void lrp_scratch_release(lrp_scratch *s, size_t mark) {
  while (s->blocks && s->blocks->below >= mark && s->blocks->older) drop_newest(s);
  if (s->blocks && s->blocks->below <= mark) s->blocks->used = mark - s->blocks->below;
  s->in_use = mark;
  /* Blocks that were added because the first was small make way for one of the full size. */
  if (mark == 0 && s->blocks && room(s->blocks) < s->peak) drop_newest(s);
}

void lrp_scratch_free(lrp_scratch *s) {
  while (s->blocks) drop_newest(s);
  *s = (lrp_scratch){0};
}
