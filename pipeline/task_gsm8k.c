/* Grade-school arithmetic: the answer is generated, and its last number is compared. */
#include <stdlib.h>

#include "pipeline/python_text.h"
#include "pipeline/task_parts.h"

lrp_status lrp_build_gsm8k(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data->rows;
  const char *question, *answer;

  lrp_status st = lrp_jsonl_text(data, row, "question", &question);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "answer", &answer);
  if (st == LRP_OK) st = lrp_task_add_text(task, row, answer, data->rows[row]);
  if (st != LRP_OK) return st;
  lrp_request request = {.context = lrp_text_format("Question: %s\nAnswer:", question)};
  if (!request.context) return LRP_ERR_MEM;
  return lrp_task_append(task, &task->docs[task->n_docs - 1], &request);
}
