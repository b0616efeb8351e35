#include "io/model/model.h"
#include "tests/io/model/fixture.h"

static void assert_refused_dir(const char *dir, lrp_status st, const char *part) {
  lrp_model m;
  assert_failure(lrp_model_open(dir, &m), st, part);
  assert_null(m.shards);
  assert_null(m.dir);
  lrp_model_close(&m);
}

static void assert_refused(const fixture *f, const char *part) {
  assert_refused_dir(fixture_write(f), LRP_ERR_DATA, part);
}

/* With both, the single file counts: the index may be broken. */
static void test_single_before_index(void **state) {
  const char *dir;
  lrp_model m;
  fixture f;
  (void)state;

  fixture_init(&f);
  dir = fixture_write(&f);
  fixture_write_text(dir, "model.safetensors.index.json", "{");
  check_ok(lrp_model_open(dir, &m));
  lrp_model_close(&m);
}

static void test_absent_files(void **state) {
  const char *dir;
  fixture f;
  (void)state;

  assert_refused_dir(temp_path("nowhere"), LRP_ERR_ABSENT, "nowhere: cannot open");
  fixture_init(&f);
  f.files = 0;
  dir = fixture_write(&f);
  assert_refused_dir(dir, LRP_ERR_ABSENT,
                     "neither model.safetensors nor model.safetensors.index.json is there");
  fixture_write_text(dir, "pytorch_model-00001-of-00002.bin", "pickle");
  assert_refused_dir(dir, LRP_ERR_ABSENT, "pickle is not read; convert to safetensors: pytorch_");
  dir = fixture_write(&f);
  fixture_write_text(dir, "consolidated.00.pth", "pickle");
  assert_refused_dir(dir, LRP_ERR_ABSENT, "pickle is not read");
}

static void test_missing_shards(void **state) {
  char path[1024];
  const char *dir;
  fixture f;
  (void)state;

  fixture_init(&f);
  fixture_split(&f, 3);
  dir = fixture_write(&f);
  for (int i = 1; i <= 3; i += 2) {
    snprintf(path, sizeof path, "%s/model-%05d-of-00003.safetensors", dir, i);
    assert_int_equal(unlink(path), 0);
  }
  /* The one that is left is broken: nothing is opened before all are there. */
  fixture_write_text(dir, "model-00002-of-00003.safetensors", "broken");
  assert_refused_dir(dir, LRP_ERR_ABSENT,
                     "2 of 3 weight files are missing: model-00001-of-00003.safetensors, "
                     "model-00003-of-00003.safetensors");
}

static void test_misplaced_tensors(void **state) {
  fixture f;
  (void)state;

  fixture_init(&f);
  fixture_split(&f, 3);
  f.tensors[3].listed = 1; /* and lies in file 0 */
  assert_refused(&f,
                 "weight_map: tensor model.layers.0.self_attn.k_proj.weight is not in "
                 "model-00002-of-00003.safetensors but in model-00001-of-00003.safetensors");
  fixture_init(&f);
  fixture_split(&f, 3);
  f.tensors[3].file = 7; /* in no file */
  assert_refused(&f,
                 "model.layers.0.self_attn.k_proj.weight is not in "
                 "model-00001-of-00003.safetensors, nor elsewhere");
}

static void test_name_twice(void **state) {
  fixture_tensor *t;
  fixture f;
  (void)state;

  fixture_init(&f);
  fixture_split(&f, 3);
  t = fixture_add(&f, "model.norm.weight", 0, 10);
  t->file = 0;
  t->listed = -1;
  assert_int_not_equal(fixture_find(&f, "model.norm.weight")->file, 0);
  assert_refused(&f, "tensor model.norm.weight is in two files: ");
}

/* A directory whose index maps one tensor to file. */
static const char *dir_with_index(const char *index) {
  const char *dir;
  fixture f;
  fixture_init(&f);
  f.files = 0;
  dir = fixture_write(&f);
  fixture_write_text(dir, "model.safetensors.index.json", index);
  return dir;
}

static void assert_name_refused(const char *file) {
  char index[512];
  snprintf(index, sizeof index, "{\"weight_map\": {\"a.weight\": \"%s\"}}", file);
  assert_refused_dir(dir_with_index(index), LRP_ERR_DATA, "weight_map: a.weight: \"");
}

static void test_hostile_names(void **state) {
  char name[300];
  (void)state;

  assert_name_refused("../../x.safetensors");
  assert_name_refused("../x.safetensors");
  assert_name_refused("/etc/passwd");
  assert_name_refused("/tmp/x.safetensors");
  assert_name_refused("a/../../b.safetensors");
  assert_name_refused("sub/x.safetensors");
  assert_name_refused("./x.safetensors");
  assert_name_refused("..");
  assert_name_refused("");
  assert_name_refused(".safetensors");
  assert_name_refused("config.json");
  assert_name_refused("pytorch_model.bin");
  assert_name_refused("x.safetensors/");
  memset(name, 'n', sizeof name);
  strcpy(name + 250, ".safetensors");
  assert_name_refused(name);
}

static void test_hostile_index(void **state) {
  (void)state;
  assert_refused_dir(dir_with_index("{\"weight_map\": {\"a\": \"x\\u0000.safetensors\"}}"),
                     LRP_ERR_DATA, "not valid JSON");
  assert_refused_dir(dir_with_index("{\"weight_map\": {\"a\": 7}}"), LRP_ERR_DATA,
                     "weight_map: a: \"(no string)\"");
  assert_refused_dir(dir_with_index("{\"weight_map\": {\"a\": [\"x.safetensors\"]}}"), LRP_ERR_DATA,
                     "(no string)");
  assert_refused_dir(dir_with_index("{\"weight_map\": {}}"), LRP_ERR_DATA, "names 0 files");
  assert_refused_dir(dir_with_index("{\"weight_map\": []}"), LRP_ERR_DATA, "not an object");
  assert_refused_dir(dir_with_index("{}"), LRP_ERR_DATA, "weight_map: not an object");
  assert_refused_dir(dir_with_index("[]"), LRP_ERR_DATA, "weight_map: not an object");
  assert_refused_dir(dir_with_index(""), LRP_ERR_DATA, "index.json:");
  assert_refused_dir(dir_with_index("{\"weight_map\": {\"a\": \"x.safetensors\", "
                                    "\"a\": \"x.safetensors\"}}"),
                     LRP_ERR_DATA, "duplicate");
}

static void test_too_many_files(void **state) {
  for (int count = 1024; count <= 1025; count++) {
    char *text = malloc(64 * 1100);
    size_t n;
    assert_non_null(text);
    n = (size_t)sprintf(text, "{\"weight_map\": {");
    for (int i = 0; i < count; i++) {
      n += (size_t)sprintf(text + n, "%s\"t%d\": \"f%d.safetensors\"", i ? ", " : "", i, i);
    }
    sprintf(text + n, "}}");
    if (count == 1024) {
      assert_refused_dir(dir_with_index(text), LRP_ERR_ABSENT, "1024 of 1024 weight files are");
    } else {
      assert_refused_dir(dir_with_index(text), LRP_ERR_DATA, "names 1025 files");
    }
    free(text);
  }
  (void)state;
}

/* Move dir/model.safetensors to target and leave a link with this text in its place. */
static void replace_by_link(const char *dir, const char *target, const char *link) {
  char path[1024];
  snprintf(path, sizeof path, "%s/model.safetensors", dir);
  if (target) {
    assert_int_equal(rename(path, target), 0);
  } else {
    assert_int_equal(unlink(path), 0);
  }
  assert_int_equal(symlink(link, path), 0);
}

static void assert_opens(const char *dir) {
  lrp_model m;
  check_ok(lrp_model_open(dir, &m));
  lrp_model_close(&m);
}

static void test_links(void **state) {
  char inside[1024];
  const char *dir;
  fixture f;
  (void)state;

  fixture_init(&f);
  dir = fixture_write(&f);
  assert_int_equal(symlink(dir, temp_path("link-to-dir")), 0);
  assert_opens(temp_path("link-to-dir"));

  snprintf(inside, sizeof inside, "%s/weights", dir);
  replace_by_link(dir, inside, "weights");
  assert_opens(dir);
  assert_opens(temp_path("link-to-dir"));

  dir = fixture_write(&f);
  replace_by_link(dir, temp_path("outside"), "../outside");
  assert_refused_dir(dir, LRP_ERR_DATA, "outside of the model directory");

  /* The name of a neighbour that begins as that of dir. */
  dir = fixture_write(&f);
  snprintf(inside, sizeof inside, "%s-b", dir);
  assert_int_equal(mkdir(inside, 0700), 0);
  strcat(inside, "/weights");
  replace_by_link(dir, inside, inside);
  assert_refused_dir(dir, LRP_ERR_DATA, "outside of the model directory");

  dir = fixture_write(&f);
  replace_by_link(dir, NULL, "/dev/zero");
  assert_refused_dir(dir, LRP_ERR_DATA, "outside of the model directory");
}

static void test_no_regular_file(void **state) {
  char path[1024];
  const char *dir;
  fixture f;
  (void)state;

  fixture_init(&f);
  f.files = 0;
  dir = fixture_write(&f);
  snprintf(path, sizeof path, "%s/model.safetensors", dir);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_refused_dir(dir, LRP_ERR_DATA, "not a regular file");
  dir = dir_with_index("{\"weight_map\": {\"a\": \"x.safetensors\"}}");
  snprintf(path, sizeof path, "%s/x.safetensors", dir);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_refused_dir(dir, LRP_ERR_DATA, "not a regular file");
}

/* snapshots/<revision> of a Hugging Face cache, whose files are links into blobs. */
static void test_hub_cache(void **state) {
  char snapshot[1024];
  const char *dir;
  fixture f;
  (void)state;

  fixture_init(&f);
  assert_int_equal(mkdir(temp_path("hub"), 0700), 0);
  assert_int_equal(mkdir(temp_path("hub/blobs"), 0700), 0);
  assert_int_equal(mkdir(temp_path("hub/other"), 0700), 0);
  assert_int_equal(mkdir(temp_path("hub/snapshots"), 0700), 0);
  snprintf(snapshot, sizeof snapshot, "%s", temp_path("hub/snapshots/4a7c"));

  dir = fixture_write(&f);
  replace_by_link(dir, temp_path("hub/blobs/b1"), "../../blobs/b1");
  assert_int_equal(rename(dir, snapshot), 0);
  assert_opens(snapshot);
  assert_int_equal(symlink("hub/snapshots/4a7c", temp_path("model")), 0);
  assert_opens(temp_path("model"));
  temp_remove(snapshot);

  dir = fixture_write(&f);
  replace_by_link(dir, temp_path("hub/other/b1"), "../../other/b1");
  assert_int_equal(rename(dir, snapshot), 0);
  assert_refused_dir(snapshot, LRP_ERR_DATA, "outside of the model directory");
  temp_remove(snapshot);

  /* blobs two levels up, but not of a cache. */
  dir = fixture_write(&f);
  replace_by_link(dir, NULL, "../../blobs/b1");
  assert_int_equal(rename(dir, temp_path("hub/other/4a7c")), 0);
  assert_refused_dir(temp_path("hub/other/4a7c"), LRP_ERR_DATA, "outside of the model directory");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_single_before_index),
      cmocka_unit_test(test_absent_files),
      cmocka_unit_test(test_missing_shards),
      cmocka_unit_test(test_misplaced_tensors),
      cmocka_unit_test(test_name_twice),
      cmocka_unit_test(test_hostile_names),
      cmocka_unit_test(test_hostile_index),
      cmocka_unit_test(test_too_many_files),
      cmocka_unit_test(test_links),
      cmocka_unit_test(test_no_regular_file),
      cmocka_unit_test(test_hub_cache),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
