/* Shots: what is drawn, from which file, and how it reads. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "byte_tokenizer.h"
#include "pipeline/python_random.h"
#include "task_file.h"

enum { max_length = 4096 };

/* ---- the generator ---- */

static void assert_sample(lrp_random *random, int64_t size, int64_t k, const int64_t *expected) {
  int64_t rows[32];
  assert_int_equal(lrp_random_sample(random, size, k, rows), LRP_OK);
  for (int64_t i = 0; i < k; i++) assert_int_equal(rows[i], expected[i]);
}

/* One call after a new random.Random(1234). */
static void assert_first(int64_t size, int64_t k, const int64_t *expected) {
  lrp_random random;
  lrp_random_seed(&random, 1234);
  assert_sample(&random, size, k, expected);
}

/* Values of CPython 3.11. */
static void test_samples(void **state) {
  static const int64_t arc[] = {902, 239, 15,  185, 71,  171, 201, 726,  484, 35,  63,  32,  708,
                                991, 949, 304, 186, 374, 234, 29,  1030, 996, 511, 132, 1108};
  lrp_random random;
  (void)state;
  lrp_random_seed(&random, 1234);
  assert_sample(&random, 1119, 25, arc);
  assert_sample(&random, 1119, 5, (int64_t[]){954, 140, 182, 1054, 94});
  assert_first(39905, 11,
               (int64_t[]){28883, 7657, 490, 5940, 38156, 2288, 5500, 6450, 23241, 15519, 1142});
  assert_first(30, 5, (int64_t[]){24, 14, 3, 0, 2});
  lrp_random_seed(&random, 1234);
  assert_sample(&random, 7473, 5, (int64_t[]){6374, 3610, 957, 61, 742});
  assert_sample(&random, 7473, 5, (int64_t[]){7462, 6610, 4769, 286, 5501});
}

/* A pool up to 21 items, and up to 21 + 4^3 for twenty draws; one more, and numbers are redrawn. */
static void test_sample_ways(void **state) {
  (void)state;
  assert_first(21, 5, (int64_t[]){14, 3, 0, 2, 1});
  assert_first(22, 5, (int64_t[]){14, 3, 0, 2, 18});
  assert_first(85, 20, (int64_t[]){56, 14, 0,  11, 74, 4,  10, 12, 45, 30,
                                   2,  3,  80, 44, 61, 59, 19, 81, 23, 83});
  assert_first(86, 20, (int64_t[]){56, 14, 0, 11, 74, 4,  85, 10, 12, 45,
                                   30, 2,  3, 44, 82, 79, 61, 78, 59, 19});
  assert_first(8, 8, (int64_t[]){7, 0, 6, 5, 4, 2, 3, 1});
  assert_first(1, 1, (int64_t[]){0});
  assert_first(1, 0, NULL);
}

/* The state is made anew after 624 words. */
static void test_many_samples(void **state) {
  lrp_random random;
  int64_t rows[5];
  (void)state;
  lrp_random_seed(&random, 1234);
  for (int i = 0; i < 199; i++) {
    assert_int_equal(lrp_random_sample(&random, 7473, 5, rows), LRP_OK);
  }
  assert_sample(&random, 7473, 5, (int64_t[]){7122, 770, 7279, 655, 6826});
}

/* ---- tasks ---- */

/* Rows "<prefix>0", "<prefix>1", ... of piqa, n of them; right answer 1 of the odd ones. */
static void put_piqa(const char *file, const char *prefix, int n) {
  char rows[1024];
  int used = 0;
  for (int i = 0; i < n; i++) {
    used += snprintf(rows + used, sizeof rows - (size_t)used,
                     "{\"goal\": \"%s%d\", \"sol1\": \"no\", \"sol2\": \"yes\", \"label\": %d}\n",
                     prefix, i, i % 2);
  }
  put_file(file, rows);
}

static lrp_status load(const char *name, int64_t shots, const char *split, int64_t limit,
                       lrp_task *task) {
  const lrp_task_source source = {.dir = task_dir,
                                  .num_fewshot = shots,
                                  .fewshot_split = split,
                                  .limit = limit,
                                  .max_length = max_length};
  return lrp_task_load(lrp_task_find(name), &source, NULL, 0, task);
}

static void load_ok(const char *name, int64_t shots, const char *split, lrp_task *task) {
  const lrp_status st = load(name, shots, split, -1, task);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
}

static void assert_fails(const char *name, int64_t shots, const char *split, lrp_status expected,
                         const char *part) {
  lrp_task task;
  lrp_failure_clear();
  assert_int_equal(load(name, shots, split, -1, &task), expected);
  const char *message = lrp_failure_message(expected);
  if (!strstr(message, part)) fail_msg("expected \"...%s...\", got \"%s\"", part, message);
  assert_null(task.docs); /* nothing left to free */
}

static void assert_shots(const lrp_task *task, int64_t doc, int64_t n, const int64_t *expected) {
  assert_int_equal(task->docs[doc].n_shots, n);
  for (int64_t i = 0; i < n; i++) assert_int_equal(task->docs[doc].shots[i], expected[i]);
}

static const char *context(const lrp_task *task, int64_t doc, int request) {
  return task->requests[task->docs[doc].first + request].context;
}

/* random.Random(1234): sample(range(4), 3) = 302, 023, 031, 102; without the document itself. */
static void test_validation_alone(void **state) {
  lrp_task t;
  (void)state;
  put_piqa("piqa/validation.jsonl", "v", 4);
  load_ok("piqa", 2, NULL, &t);
  assert_ptr_equal(t.shots.data, t.data);
  assert_int_equal(t.data->users, 2);
  assert_shots(&t, 0, 2, (int64_t[]){3, 2});
  assert_shots(&t, 1, 2, (int64_t[]){0, 2});
  assert_shots(&t, 2, 2, (int64_t[]){0, 3});
  assert_shots(&t, 3, 2, (int64_t[]){1, 0});
  assert_string_equal(context(&t, 0, 0),
                      "Question: v3\nAnswer: yes\n\nQuestion: v2\nAnswer: no\n\nQuestion: v0\n"
                      "Answer:");
  assert_ptr_equal(context(&t, 0, 1), context(&t, 0, 0)); /* one text for both choices */
  assert_true(t.requests[1].shares_context);
  assert_string_equal(t.requests[1].continuation, " yes");
  assert_int_equal(t.requests[0].n_tokens, 1 + (int64_t)strlen(context(&t, 0, 0)) + 3);
  assert_int_equal(t.requests[0].n_score, 3);
  lrp_task_free(&t);

  assert_int_equal(load("piqa", 2, NULL, 2, &t), LRP_OK); /* a limit does not limit the shots */
  assert_int_equal(t.n_docs, 2);
  assert_shots(&t, 0, 2, (int64_t[]){3, 2});
  assert_shots(&t, 1, 2, (int64_t[]){0, 2});
  lrp_task_free(&t);

  load_ok("piqa", 0, NULL, &t);
  assert_null(t.shots.data);
  assert_string_equal(context(&t, 0, 0), "Question: v0\nAnswer:");
  lrp_task_free(&t);
  /* three and one to spare are all four rows; four are one too many */
  load_ok("piqa", 3, NULL, &t);
  lrp_task_free(&t);
  assert_fails("piqa", 4, NULL, LRP_ERR_JOB, "task piqa: 4 shots, drawn with one to spare, but ");
  assert_fails("piqa", 4, NULL, LRP_ERR_JOB, "piqa/validation.jsonl has 4 rows");
}

/* A row that equals the document is dropped wherever it stands, and with it goes a shot. */
static void test_equal_rows(void **state) {
  lrp_task t;
  (void)state;
  put_file("piqa/validation.jsonl",
           "{\"goal\": \"a\", \"sol1\": \"x\", \"sol2\": \"y\", \"label\": 0}\n"
           "{\"sol1\": \"x\", \"goal\": \"a\", \"sol2\": \"y\", \"label\": 0}\n"
           "{\"goal\": \"a\", \"sol1\": \"x\", \"sol2\": \"y\", \"label\": 1}\n");
  load_ok("piqa", 2, NULL, &t);
  assert_shots(&t, 0, 1, (int64_t[]){2});
  assert_shots(&t, 1, 1, (int64_t[]){2});
  assert_shots(&t, 2, 2, (int64_t[]){t.docs[2].shots[0], 1 - t.docs[2].shots[0]});
  lrp_task_free(&t);
}

/* As soon as there is a training file, it has the shots; both splits are undeclared, so that one
 * more is still drawn: sample(range(5), 3), of which two are kept. Where the split is declared,
 * sample(range(5), 2). */
static void test_train(void **state) {
  lrp_task t;
  (void)state;
  put_piqa("piqa/validation.jsonl", "v", 3);
  put_piqa("piqa/train.jsonl", "t", 5);
  load_ok("piqa", 2, "train", &t);
  assert_shots(&t, 0, 2, (int64_t[]){3, 0});
  assert_shots(&t, 1, 2, (int64_t[]){0, 4});
  assert_shots(&t, 2, 2, (int64_t[]){4, 0});
  assert_string_equal(context(&t, 0, 0),
                      "Question: t3\nAnswer: yes\n\nQuestion: t0\nAnswer: no\n\nQuestion: v0\n"
                      "Answer:");
  lrp_task_free(&t);
  load_ok("piqa", 4, NULL, &t);
  assert_string_equal(t.shots.data->file, "piqa/train.jsonl");
  assert_null(t.shots.split);
  lrp_task_free(&t);
  assert_fails("piqa", 5, NULL, LRP_ERR_JOB, "piqa/train.jsonl has 5 rows");
  load_ok("piqa", 5, "train", &t);
  lrp_task_free(&t);
  load_ok("piqa", 2, "validation", &t); /* declared, but not as test split: nothing is dropped */
  assert_shots(&t, 0, 2, (int64_t[]){1, 0});
  lrp_task_free(&t);
  assert_fails("piqa", 2, "dev", LRP_ERR_ABSENT, "task piqa with 2 shots of the split dev expects");
  assert_fails("piqa", 2, "dev", LRP_ERR_ABSENT, "/piqa/dev.jsonl");
}

/* A declared test split and no few-shot split: just as many as asked for, from validation where
 * there is no training file, from the test file itself where there is nothing else. */
static void test_test_split(void **state) {
  static const char row[] =
      "{\"question\": \"q%d\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", "
      "\"B\"]}, \"answerKey\": \"B\"}\n";
  char rows[1024];
  int used = 0;
  lrp_task t;
  (void)state;
  for (int i = 0; i < 4; i++) {
    used += snprintf(rows + used, sizeof rows - (size_t)used, row, i);
  }
  put_file("ai2_arc/ARC-Easy/test.jsonl", rows);
  load_ok("arc_easy", 4, NULL, &t);
  assert_ptr_equal(t.shots.data, t.data);
  assert_int_equal(t.docs[0].n_shots, 4);
  lrp_task_free(&t);
  put_file("ai2_arc/ARC-Easy/validation.jsonl", rows);
  load_ok("arc_easy", 1, NULL, &t);
  assert_string_equal(t.shots.data->file, "ai2_arc/ARC-Easy/validation.jsonl");
  assert_true(strstr(context(&t, 0, 0), "\nAnswer: b\n\nQuestion: q0\nAnswer:") != NULL);
  lrp_task_free(&t);
}

static void test_mmlu(void **state) {
  static const char row[] =
      "{\"question\": \" %s%d \", \"subject\": \"%s\", \"choices\": [\"1\", \"2\", \"3\", "
      "\"4\"], \"answer\": %d}\n";
  char rows[2048];
  int used = 0;
  lrp_task t;
  (void)state;
  for (int i = 0; i < 6; i++) { /* rows of another subject in between */
    used += snprintf(rows + used, sizeof rows - (size_t)used, row, "d", i,
                     i % 2 ? "world_religions" : "virology", i % 4);
  }
  put_file("mmlu/test.jsonl", rows);
  put_file("mmlu/dev.jsonl", rows);
  load_ok("mmlu_world_religions", 2, NULL, &t);
  assert_int_equal(t.n_docs, 3);
  for (int64_t d = 0; d < 3; d++) assert_shots(&t, d, 2, (int64_t[]){1, 3});
  assert_string_equal(
      context(&t, 2, 0),
      "The following are multiple choice questions (with answers) about world religions.\n\n"
      "d1\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n"
      "d3\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: D\n\n"
      "d5\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:");
  lrp_task_free(&t);
  assert_fails("mmlu_world_religions", 4, NULL, LRP_ERR_JOB, "4 shots, but ");
  assert_fails("mmlu_world_religions", 4, NULL, LRP_ERR_JOB, "mmlu/dev.jsonl has 3 rows");
  /* a folder of the subject has its own files, which may lack the column */
  put_file("mmlu/virology/test.jsonl",
           "{\"question\": \"q\", \"choices\": [\"1\", \"2\", \"3\", \"4\"], \"answer\": 0}\n");
  load_ok("mmlu_virology", 1, NULL, &t);
  assert_string_equal(t.shots.data->file, "mmlu/dev.jsonl");
  assert_shots(&t, 0, 1, (int64_t[]){0});
  lrp_task_free(&t);
  put_file("mmlu/virology/dev.jsonl",
           "{\"question\": \"own\", \"choices\": [\"1\", \"2\", \"3\", \"4\"], \"answer\": 0}\n");
  load_ok("mmlu_virology", 1, NULL, &t);
  assert_true(strstr(context(&t, 0, 3), "\n\nown\nA. 1") != NULL);
  lrp_task_free(&t);
}

/* Its options are in the contexts: a shot has the right one. */
static void test_winogrande(void **state) {
  lrp_task t;
  (void)state;
  put_file("winogrande/winogrande_xl/validation.jsonl",
           "{\"sentence\": \"A _ c.\", \"option1\": \"x\", \"option2\": \"y\", \"answer\": \"2\"}\n"
           "{\"sentence\": \"D _ f .\", \"option1\": \"u\", \"option2\": \"v\", \"answer\": "
           "\"1\"}\n");
  load_ok("winogrande", 1, NULL, &t);
  assert_string_equal(context(&t, 0, 0), "D u f .\n\nA x");
  assert_string_equal(context(&t, 0, 1), "D u f .\n\nA y");
  assert_string_equal(context(&t, 1, 1), "A y c.\n\nD v");
  assert_string_equal(t.requests[3].continuation, " f .");
  assert_false(t.requests[1].shares_context);
  lrp_task_free(&t);
}

/* Shots are cleaned, too. */
static void test_hellaswag(void **state) {
  lrp_task t;
  (void)state;
  put_file("hellaswag/validation.jsonl",
           "{\"activity_label\": \"A\", \"ctx_a\": \"One [step] two.\", \"ctx_b\": \"AND\", "
           "\"endings\": [\"a\", \"[title] b  c\"], \"label\": \"1\"}\n"
           "{\"activity_label\": \"B\", \"ctx_a\": \"Three.\", \"ctx_b\": \"\", \"endings\": "
           "[\"d\", \"e\"], \"label\": \"0\"}\n");
  load_ok("hellaswag", 1, NULL, &t);
  assert_string_equal(context(&t, 0, 0), "B: Three. d\n\nA: One two. And");
  assert_string_equal(context(&t, 1, 0), "A: One two. And  b c\n\nB: Three.");
  lrp_task_free(&t);
}

/* A generation task's shots end with the whole answer. */
static void test_gsm8k(void **state) {
  lrp_task t;
  (void)state;
  put_file("gsm8k/main/test.jsonl", "{\"question\": \"q?\", \"answer\": \"so\\n#### 7\"}\n");
  assert_fails("gsm8k", 1, NULL, LRP_ERR_ABSENT, "gsm8k/main/train.jsonl");
  put_file("gsm8k/main/train.jsonl",
           "{\"question\": \"p?\", \"answer\": \"<<1+1=2>>\\n#### 2\"}\n");
  load_ok("gsm8k", 1, NULL, &t);
  assert_string_equal(context(&t, 0, 0),
                      "Question: p?\nAnswer: <<1+1=2>>\n#### 2\n\nQuestion: q?\nAnswer:");
  assert_string_equal(t.docs[0].target, "so\n#### 7");
  assert_null(t.requests[0].continuation);
  lrp_task_free(&t);
}

/* Whatever is asked for. */
static void test_no_shots(void **state) {
  lrp_task t;
  (void)state;
  put_file("lambada_openai/test.jsonl", "{\"text\": \"a b\"}\n");
  load_ok("lambada_openai", 3, NULL, &t);
  assert_int_equal(t.shots.n, 0);
  assert_string_equal(context(&t, 0, 0), "a");
  lrp_task_free(&t);
}

/* A bad row of the few-shot file is named when it is drawn. */
static void test_bad_shot(void **state) {
  (void)state;
  put_piqa("piqa/validation.jsonl", "v", 2);
  put_file("piqa/train.jsonl",
           "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 2}\n");
  assert_fails("piqa", 1, "train", LRP_ERR_DATA,
               "piqa/train.jsonl:1: the right answer is choice 2");
}

/* Tasks of one run read a file once, be it for questions or for shots. */
static void test_shared_files(void **state) {
  lrp_task tasks[2];
  const lrp_task_source source = {
      .dir = task_dir, .num_fewshot = 1, .limit = -1, .max_length = max_length};
  (void)state;
  put_file("mmlu/test.jsonl",
           "{\"question\": \"q\", \"subject\": \"anatomy\", \"choices\": [\"1\", \"2\", \"3\", "
           "\"4\"], \"answer\": 0}\n{\"question\": \"r\", \"subject\": \"marketing\", \"choices\": "
           "[\"1\", \"2\", \"3\", \"4\"], \"answer\": 0}\n");
  put_file("mmlu/dev.jsonl",
           "{\"question\": \"q\", \"subject\": \"anatomy\", \"choices\": [\"1\", \"2\", \"3\", "
           "\"4\"], \"answer\": 0}\n{\"question\": \"r\", \"subject\": \"marketing\", \"choices\": "
           "[\"1\", \"2\", \"3\", \"4\"], \"answer\": 0}\n");
  assert_int_equal(lrp_task_load(lrp_task_find("mmlu_anatomy"), &source, NULL, 0, &tasks[0]),
                   LRP_OK);
  assert_int_equal(lrp_task_load(lrp_task_find("mmlu_marketing"), &source, tasks, 1, &tasks[1]),
                   LRP_OK);
  assert_ptr_equal(tasks[0].shots.data, tasks[1].shots.data);
  assert_ptr_equal(tasks[0].data, tasks[1].data);
  assert_shots(&tasks[1], 0, 1, (int64_t[]){1});
  lrp_task_free(&tasks[0]);
  assert_string_equal(tasks[1].shots.data->file, "mmlu/dev.jsonl"); /* still there */
  lrp_task_free(&tasks[1]);
}

static int clean_directory(void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf '%s'/*", task_dir);
  return system(command);
}

#define CASE(test) cmocka_unit_test_teardown(test, clean_directory)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_samples),          CASE(test_sample_ways),  CASE(test_many_samples),
      CASE(test_validation_alone), CASE(test_equal_rows),   CASE(test_train),
      CASE(test_test_split),       CASE(test_mmlu),         CASE(test_winogrande),
      CASE(test_hellaswag),        CASE(test_gsm8k),        CASE(test_no_shots),
      CASE(test_bad_shot),         CASE(test_shared_files),
  };
  return cmocka_run_group_tests(tests, task_dir_create, task_dir_remove);
}
