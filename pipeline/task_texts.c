/* Tasks that ask for the likelihood of a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/python_text.h"
#include "pipeline/task_parts.h"

/* The last word, from what is in front of it. */
lrp_status lrp_build_lambada(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data->rows;
  const char *text;

  lrp_status st = lrp_jsonl_text(data, row, "text", &text);
  if (st != LRP_OK) return st;
  const char *space = strrchr(text, ' ');
  const char *word = space ? space + 1 : text;
  char *context = lrp_text_format("%.*s", space ? (int)(space - text) : 0, text);
  char *target = lrp_text_format(" %s", word);
  st = context && target ? LRP_OK : LRP_ERR_MEM;
  if (st == LRP_OK) st = lrp_task_add_doc(task, row, 1, 0, target, data->rows[row]);
  if (st == LRP_OK) st = lrp_task_add_request(task, context, word);
  free(target);
  free(context);
  return st;
}

lrp_status lrp_wikitext_page(const lrp_jsonl *data, int64_t row, const char **page) {
  const json_t *fields = data->rows[row];
  if (!json_object_get(fields, "page") && json_object_get(fields, "text")) {
    return lrp_jsonl_fail(data, row,
                          "field page: there is none, but a field text: expected a whole article "
                          "per row, as in EleutherAI/wikitext_document_level");
  }
  return lrp_jsonl_text(data, row, "page", page);
}

lrp_status lrp_wikitext_join(const lrp_jsonl *data, char **text, size_t *size) {
  FILE *stream = open_memstream(text, size);
  lrp_status st = LRP_OK;
  if (!stream) return lrp_fail_memory(BUFSIZ, data->path);

  for (int64_t i = 0; i < data->count && st == LRP_OK; i++) {
    const char *page;
    st = lrp_wikitext_page(data, i, &page);
    if (st == LRP_OK) fputs(page, stream);
  }
  const bool failed = ferror(stream) != 0;
  if (fclose(stream) != 0 || failed || !*text) {
    st = lrp_fail_memory(*size, data->path);
  }
  return st;
}

/* Deletes white space behind open and in front of the next close, for every such pair, in place. */
static void trim_pairs(char *text, char open, char close) {
  const char *in = text;
  char *out = text;

  for (;;) {
    const char *from = strchr(in, open);
    const char *to = from ? strchr(from + 1, close) : NULL;
    if (!to) break;
    const size_t before = (size_t)(from + 1 - in);
    memmove(out, in, before);
    out += before;
    const char *inside = from + 1 + lrp_text_lstrip(from + 1, (size_t)(to - from - 1));
    const size_t length = lrp_text_rstrip(inside, (size_t)(to - inside));
    memmove(out, inside, length);
    out += length;
    *out++ = close;
    in = to + 1;
  }
  memmove(out, in, strlen(in) + 1);
}

/* WikiText's marks and tokenized punctuation -> text as it is written, in place. The order matters.
 * The harness has a further pattern, between slashes, which no page holds. */
static void detokenize(char *text) {
  static const char *const first[][2] = {
      {"s '", "s'"}, {" @-@ ", "-"}, {" @,@ ", ","}, {" @.@ ", "."}, {" : ", ": "},
      {" ; ", "; "}, {" . ", ". "},  {" ! ", "! "},  {" ? ", "? "},  {" , ", ", "},
  };
  static const char pairs[][2] = {{'(', ')'}, {'[', ']'}, {'{', '}'}, {'"', '"'}, {'\'', '\''}};
  static const char *const last[][2] = {
      {"= = = =", "===="}, {"= = =", "==="}, {"= =", "=="},  {" \u00b0 ", "\u00b0"},
      {" \n", "\n"},       {"\n ", "\n"},    {" N ", " 1 "}, {" 's", "'s"},
  };
  for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
    lrp_text_replace(text, first[i][0], first[i][1]);
  }
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    trim_pairs(text, pairs[i][0], pairs[i][1]);
  }
  for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
    lrp_text_replace(text, last[i][0], last[i][1]);
  }
}

/* The text is scored without the marks, but counted with them. */
lrp_status lrp_build_wikitext(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data->rows;
  const char *page;

  lrp_status st = lrp_wikitext_page(data, row, &page);
  if (st != LRP_OK) return st;
  char *text = lrp_text_format("%s", page);
  if (!text) return LRP_ERR_MEM;
  detokenize(text);
  st = lrp_task_add_text(task, row, text, data->rows[row]);
  free(text);
  if (st != LRP_OK) return st;
  lrp_doc *doc = &task->docs[task->n_docs - 1];
  doc->words = lrp_text_pieces(page);
  doc->text_bytes = (int64_t)strlen(page);
  return LRP_OK;
}
