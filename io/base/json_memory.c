#include "io/base/json_memory.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static atomic_bool failed;

static void *allocate(size_t size) {
  void *memory = malloc(size);
  if (!memory && size > 0) {
    lrp_fail_memory(size, "a JSON value");
    atomic_store(&failed, true);
  }
  return memory;
}

void lrp_json_memory_init(void) {
  json_set_alloc_funcs(allocate, free);
}

lrp_status lrp_json_checked(lrp_status st) {
  return st < LRP_ERR_MEM && atomic_load(&failed) ? LRP_ERR_MEM : st;
}
