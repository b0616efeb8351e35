/* Ids of texts by lrpipe's tokenizer, for check_peers.py.
 *
 *     peer_tokens MODEL < TEXTS > IDS
 *
 * A line of TEXTS is a JSON array with a string; one of IDS an object: "ids" as the tokenizer makes
 * them by default, "plain" without special tokens, "text" what decoding gives back of plain. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/tokenizer/tokenizer.h"

static json_t *to_json(const lrp_tokens *tokens) {
  json_t *ids = json_array();
  for (int64_t i = 0; i < tokens->count; i++) {
    json_array_append_new(ids, json_integer(tokens->ids[i]));
  }
  return ids;
}

static lrp_status answer(const lrp_tokenizer *tokenizer, const json_t *text) {
  const char *string = json_string_value(text);
  const size_t length = json_string_length(text);
  lrp_tokens ids = {0}, plain = {0};
  char *decoded = NULL;

  lrp_status st = lrp_tokenizer_encode(tokenizer, string, length, true, &ids);
  if (st == LRP_OK) st = lrp_tokenizer_encode(tokenizer, string, length, false, &plain);
  if (st == LRP_OK) st = lrp_tokenizer_decode(tokenizer, plain.ids, plain.count, &decoded);
  if (st == LRP_OK) {
    json_t *line = json_pack("{s:o, s:o, s:s}", "ids", to_json(&ids), "plain", to_json(&plain),
                             "text", decoded);
    if (!line || json_dumpf(line, stdout, JSON_COMPACT) != 0) {
      st = lrp_fail(LRP_ERR_IO, "stdout: cannot write");
    }
    json_decref(line);
    putchar('\n');
  }
  free(decoded);
  lrp_tokens_free(&plain);
  lrp_tokens_free(&ids);
  return st;
}

static lrp_status answer_all(const lrp_tokenizer *tokenizer) {
  lrp_status st = LRP_OK;
  char *line = NULL;
  size_t room = 0;
  while (st == LRP_OK && getline(&line, &room, stdin) > 0) {
    json_t *text = json_loads(line, 0, NULL);
    const json_t *string = json_array_get(text, 0);
    st = json_is_string(string) ? answer(tokenizer, string)
                                : lrp_fail(LRP_ERR_DATA, "stdin: not a string: %.60s", line);
    json_decref(text);
  }
  free(line);
  return st;
}

int main(int argc, char **argv) {
  lrp_tokenizer *tokenizer = NULL;
  if (argc != 2) {
    fputs("usage: peer_tokens MODEL < TEXTS > IDS\n", stderr);
    return 2;
  }
  lrp_status st = lrp_tokenizer_open(argv[1], &tokenizer);
  if (st == LRP_OK) st = answer_all(tokenizer);
  lrp_tokenizer_close(&tokenizer);
  if (st != LRP_OK) lrp_report_failure(st, MPI_COMM_NULL);
  return lrp_status_exit_code(st);
}
