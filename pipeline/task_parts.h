/** @file pipeline/task_parts.h
 *  What the sources of pipeline/tasks.h share: making documents and requests. All calls are local.
 */
#ifndef LRP_PIPELINE_TASK_PARTS_H
#define LRP_PIPELINE_TASK_PARTS_H

#include "pipeline/tasks.h"

/** Build functions of the tasks: append the document and requests of a row, whose contexts are the
 *  document's own text. The caller puts description and shots in front of them, of any task; a shot
 *  is what the same function makes of its row: the context of the right choice and the
 *  continuation, or " " and the target where there is none (LRP_GENERATE); then "\n\n".
 *  @return LRP_OK; LRP_ERR_DATA with file:line; LRP_ERR_MEM */
lrp_status lrp_build_arc(lrp_task *task, int64_t row);
lrp_status lrp_build_classes(lrp_task *task, int64_t row);
lrp_status lrp_build_squad(lrp_task *task, int64_t row);
lrp_status lrp_build_boolq(lrp_task *task, int64_t row);
lrp_status lrp_build_gsm8k(lrp_task *task, int64_t row);
lrp_status lrp_build_hellaswag(lrp_task *task, int64_t row);
lrp_status lrp_build_lambada(lrp_task *task, int64_t row);
lrp_status lrp_build_mmlu(lrp_task *task, int64_t row);
lrp_status lrp_build_openbookqa(lrp_task *task, int64_t row);
lrp_status lrp_build_piqa(lrp_task *task, int64_t row);
lrp_status lrp_build_sciq(lrp_task *task, int64_t row);
lrp_status lrp_build_truthfulqa_mc1(lrp_task *task, int64_t row);
lrp_status lrp_build_truthfulqa_mc2(lrp_task *task, int64_t row);
lrp_status lrp_build_wikitext(lrp_task *task, int64_t row);
lrp_status lrp_build_winogrande(lrp_task *task, int64_t row);

/** Append a document of n choices.
 *  @param row     of the data
 *  @param gold    index of the right choice
 *  @param target  the harness's doc_to_target as text; copied
 *  @param shown   the document as the samples file shows it; a reference is taken
 *  @return LRP_OK; LRP_ERR_DATA with file:line if there is no choice or gold is none; LRP_ERR_MEM
 */
lrp_status lrp_task_add_doc(lrp_task *task, int64_t row, size_t n, int64_t gold, const char *target,
                            json_t *shown);

/** Append the next request of the last document, log P(" " + choice | context). Both are copied;
 *  the document's chars and bytes are those of choice. Called n times after lrp_task_add_doc.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_task_add_request(lrp_task *task, const char *context, const char *choice);

/** Append a document whose choices (an array of strings) answer one context. Its target is gold.
 *  @return as lrp_task_add_doc */
lrp_status lrp_task_add_question(lrp_task *task, int64_t row, const char *context,
                                 const json_t *choices, int64_t gold, json_t *shown);

/** The data file called file (below source->dir), which may be one that a loaded task or out has.
 *  @return LRP_OK, with one user more; LRP_ERR_ABSENT; LRP_ERR_DATA with file:line; LRP_ERR_MEM */
lrp_status lrp_dataset_open(const char *file, const lrp_task_source *source, const lrp_task *loaded,
                            int n_loaded, const lrp_task *out, lrp_dataset **data);

/** One user less; the last one releases it. Accepts NULL. */
void lrp_dataset_close(lrp_dataset *data);

/** Whether a row of data is of the task's subject. @return LRP_OK; LRP_ERR_DATA with file:line */
lrp_status lrp_dataset_is_ours(const lrp_dataset *data, const lrp_task_kind *kind, int64_t row,
                               bool *ours);

/** Release all documents and requests. */
void lrp_task_clear(lrp_task *task);

/** Find the task's few-shot file and set task->shots; nothing where no shots are asked for.
 *  @return as lrp_task_load */
lrp_status lrp_task_find_shots(lrp_task *task, const lrp_task_source *source,
                               const lrp_task *loaded, int n_loaded);

/** What stands in front of the contexts of a task's documents, one document after the other. */
typedef struct lrp_preamble lrp_preamble;

/** Source: CPython's random.Random(1234), as lm-evaluation-harness's samplers use it.
 *  @return as lrp_task_load; *out is released by the caller in any case */
lrp_status lrp_preamble_create(const lrp_task *task, lrp_preamble **out);
void lrp_preamble_destroy(lrp_preamble **preamble);

/** Put description and shots in front of the contexts of the last document, and record its shots.
 *  Called for every document in order, as draws go on from each other. @return as lrp_task_load */
lrp_status lrp_preamble_apply(lrp_preamble *preamble, lrp_task *task);

/** The array of strings at field, borrowed.
 *  @return LRP_OK; LRP_ERR_DATA with file:line */
lrp_status lrp_task_texts(const lrp_jsonl *data, int64_t row, const char *field, json_t **array);

/** Append a document without requests, a text to which windows are added later, or what an encoder
 *  is asked about. text is copied: the target.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_task_add_text(lrp_task *task, int64_t row, const char *text, json_t *shown);

/** Append a window to doc: log P(last n_score of the n_tokens tokens | those before them). tokens
 *  are copied. As lrp_task_append.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_task_add_window(lrp_task *task, lrp_doc *doc, const int32_t *tokens,
                               int64_t n_tokens, int64_t n_score);

/** Append *request to doc, one that was added without requests, and take what it owns, also upon
 *  failure. All requests of a document are added before those of the next one.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_task_append(lrp_task *task, lrp_doc *doc, lrp_request *request);

/** Release what request owns. */
void lrp_request_free(lrp_request *request);

/** items with room for one more, or NULL (recorded as out of memory; items stay as they are). */
void *lrp_grown(void *items, int64_t count, int64_t *capacity, size_t item_bytes, const char *what);

/** Tokenize all requests; cut texts into windows; form the documents of LRP_TOKEN_WINDOWS.
 *  @return as lrp_task_load */
lrp_status lrp_task_encode(lrp_task *task, const lrp_task_source *source);

/** The same for encoders: inputs of texts, windows of contexts, windows of the stream.
 *  @return as lrp_task_load */
lrp_status lrp_task_encode_inputs(lrp_task *task, const lrp_task_source *source);

/** All pages of a wikitext file as one text; freed by the caller.
 *  @return LRP_OK; LRP_ERR_DATA with file:line; LRP_ERR_MEM */
lrp_status lrp_wikitext_join(const lrp_jsonl *data, char **text, size_t *size);

/** The page of a wikitext row.
 *  @return LRP_OK; LRP_ERR_DATA with file:line */
lrp_status lrp_wikitext_page(const lrp_jsonl *data, int64_t row, const char **page);

#endif
