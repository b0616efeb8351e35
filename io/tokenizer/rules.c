#include "io/tokenizer/rules.h"

#include <stdlib.h>
#include <string.h>

void lrp_rules_init(lrp_rules *r) {
  memset(r, 0, sizeof *r);
  lrp_vocab_init(&r->vocab);
}

void lrp_rules_free(lrp_rules *r) {
  free(r->behind.ids);
  free(r->front.ids);
  lrp_decoder_free(&r->decoder);
  lrp_piece_cache_destroy(&r->cache);
  lrp_merges_free(&r->merges);
  lrp_vocab_free(&r->vocab);
  lrp_pre_tokenizer_free(&r->pre_tokenizer);
  lrp_normalizer_free(&r->normalizer);
  lrp_added_free(&r->added);
  lrp_rules_init(r);
}

lrp_status lrp_id_list_push(lrp_id_list *list, int32_t id) {
  const size_t bytes = ((size_t)list->count + 1) * sizeof *list->ids;
  int32_t *ids = realloc(list->ids, bytes);

  if (!ids) return lrp_fail_memory(bytes, "special tokens");
  list->ids = ids;
  list->ids[list->count++] = id;
  return LRP_OK;
}
