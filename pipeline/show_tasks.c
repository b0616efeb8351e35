#include "pipeline/show_tasks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/python_json.h"
#include "pipeline/results.h"

static void print_quoted(const char *text) {
  lrp_python_json_string(stdout, text, strlen(text));
}

static void print_request(const lrp_task *task, const lrp_doc *doc, int i) {
  const lrp_request *r = &task->requests[doc->first + i];
  printf("request %d: ", i);
  if (r->continuation) {
    print_quoted(r->continuation);
    fputs(": ", stdout);
  }
  printf("%" PRId64 " tokens, %" PRId64 " scored%s:", r->n_tokens, r->n_score,
         r->truncated ? ", cut to fit" : "");
  for (int64_t t = 0; r->tokens && t < r->n_tokens; t++) printf(" %ld", (long)r->tokens[t]);
  putchar('\n');
}

/* Contexts differ between the requests of a document only where its options are in them. */
static void print_context(const lrp_task *task, const lrp_doc *doc, int i) {
  const char *context = task->requests[doc->first + i].context;
  if (!context || task->requests[doc->first + i].shares_context) return;
  printf("context of request %d (starting on next line):\n%s\n(end of context on previous line)\n",
         i, context);
}

static void print_doc(const lrp_task *task, int64_t d) {
  const lrp_doc *doc = &task->docs[d];
  printf("Task: %s; document %" PRId64 "; %" PRId64 " shots\n", task->kind->name, d, doc->n_shots);
  for (int i = 0; i < doc->n; i++) print_context(task, doc, i);
  printf(
      "target string or answer choice index (starting on next line):\n%s\n(end of target on "
      "previous line)\n",
      doc->target);
  for (int i = 0; i < doc->n; i++) print_request(task, doc, i);
}

void lrp_show_prompts(const lrp_task *tasks, int n) {
  for (int t = 0; t < n; t++) {
    if (tasks[t].n_docs > 0) print_doc(&tasks[t], 0);
  }
  fflush(stdout);
}

lrp_status lrp_show_settings(const lrp_task *tasks, int n) {
  json_t *all = json_object();
  bool ok = all;
  for (int t = 0; ok && t < n; t++) {
    ok = json_object_set_new(all, tasks[t].kind->name, lrp_task_settings(&tasks[t])) == 0;
  }
  if (ok) lrp_python_json(stdout, all, 2);
  if (ok) putchar('\n');
  fflush(stdout);
  json_decref(all);
  return ok ? LRP_OK : lrp_fail_memory(0, "the settings of the tasks");
}
