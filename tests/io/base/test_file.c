#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <xxhash.h>

#include "io/base/file.h"
#include "tests/io/base/temp_dir.h"

static void assert_content(const char *path, const char *expected) {
  char *data;
  size_t size;
  check_ok(lrp_file_read(path, 1000, &data, &size));
  assert_int_equal(size, strlen(expected));
  assert_string_equal(data, expected); /* which also needs the NUL */
  free(data);
}

static void assert_joined(const char *dir, const char *name, const char *expected) {
  char *path = lrp_path_join(dir, name);
  assert_string_equal(path, expected);
  free(path);
}

static void test_path_join(void **state) {
  (void)state;
  assert_joined("a", "b", "a/b");
  assert_joined("a/", "b", "a/b");
  assert_joined("/", "b", "/b");
  assert_joined("", "b", "b");
}

static void test_exists(void **state) {
  (void)state;
  assert_true(lrp_file_exists(temp_dir));
  assert_false(lrp_file_exists(temp_path("nothing")));
  assert_int_equal(symlink("nothing", temp_path("dangling")), 0);
  assert_false(lrp_file_exists(temp_path("dangling")));
}

static void test_read(void **state) {
  const char *path = temp_text("read", "0123456789");
  char *data;
  size_t size;
  (void)state;

  check_ok(lrp_file_read(path, 10, &data, &size)); /* exactly the limit */
  assert_int_equal(size, 10);
  assert_string_equal(data, "0123456789");
  free(data);
  assert_failure(lrp_file_read(path, 9, &data, &size), LRP_ERR_DATA, path);
  assert_content(temp_text("empty", ""), "");
}

static void test_read_failures(void **state) {
  char *data;
  size_t size;
  (void)state;

  assert_failure(lrp_file_read(temp_path("none"), 10, &data, &size), LRP_ERR_ABSENT, "none");
  temp_text("plain", "x");
  assert_failure(lrp_file_read(temp_path("plain/below"), 10, &data, &size), LRP_ERR_ABSENT,
                 "plain/below");
  assert_failure(lrp_file_read(temp_dir, 10, &data, &size), LRP_ERR_DATA, "not a regular file");
  assert_int_equal(mkfifo(temp_path("fifo"), 0600), 0); /* must not wait for a writer */
  assert_failure(lrp_file_read(temp_path("fifo"), 10, &data, &size), LRP_ERR_DATA, "regular");
  assert_failure(lrp_file_read("/dev/zero", 10, &data, &size), LRP_ERR_DATA, "regular");
}

/* The size that stat says is 0 for files of /proc: the end of the file counts. */
static void test_read_without_size(void **state) {
  char *data;
  size_t size;
  (void)state;

  check_ok(lrp_file_read("/proc/self/status", 1 << 20, &data, &size));
  assert_true(size > 100);
  assert_int_equal(strlen(data), size);
  free(data);
  assert_failure(lrp_file_read("/proc/self/status", 20, &data, &size), LRP_ERR_DATA, "20");
}

static void test_write(void **state) {
  const char *path = temp_path("write");
  (void)state;

  check_ok(lrp_file_write(path, "first content", 13));
  assert_content(path, "first content");
  check_ok(lrp_file_write(path, "second", 6));
  assert_content(path, "second");
  check_ok(lrp_file_write(path, "", 0));
  assert_content(path, "");
  assert_false(lrp_file_exists(temp_path("write.partial")));
}

static void test_write_relative(void **state) {
  char before[1024];
  (void)state;

  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(temp_dir), 0);
  check_ok(lrp_file_write("relative", "x", 1));
  assert_int_equal(chdir(before), 0);
  assert_content(temp_path("relative"), "x");
}

static void test_write_failures(void **state) {
  (void)state;
  assert_failure(lrp_file_write(temp_path("no/such/folder"), "x", 1), LRP_ERR_CREATE, "no/such");
  temp_text("a-file", "x");
  assert_failure(lrp_file_write(temp_path("a-file/below"), "x", 1), LRP_ERR_CREATE, "a-file");
  assert_int_equal(mkdir(temp_path("a-dir"), 0700), 0);
  assert_failure(lrp_file_write(temp_path("a-dir"), "x", 1), LRP_ERR_CREATE, "a-dir");
  assert_false(lrp_file_exists(temp_path("a-dir.partial")));
}

/* A partial file on the device that is always full. */
static void test_write_on_full_disk(void **state) {
  const char *path = temp_text("full", "old");
  (void)state;

  assert_int_equal(symlink("/dev/full", temp_path("full.partial")), 0);
  assert_failure(lrp_file_write(path, "new", 3), LRP_ERR_IO, strerror(ENOSPC));
  assert_content(path, "old");
  assert_int_equal(access(temp_path("full.partial"), F_OK), -1);
}

static void test_writer(void **state) {
  const char *path = temp_text("pieces", "old");
  lrp_file_writer w;
  (void)state;

  check_ok(lrp_file_writer_open(&w, path));
  fprintf(w.stream, "%d ", 1);
  fprintf(w.stream, "%d", 2);
  assert_content(path, "old");
  check_ok(lrp_file_writer_commit(&w));
  assert_content(path, "1 2");
  lrp_file_writer_discard(&w); /* a released one */

  check_ok(lrp_file_writer_open(&w, path));
  fprintf(w.stream, "nothing");
  lrp_file_writer_discard(&w);
  assert_content(path, "1 2");
  assert_false(lrp_file_exists(temp_path("pieces.partial")));

  assert_failure(lrp_file_writer_open(&w, temp_path("no/folder")), LRP_ERR_CREATE, "no/folder");
  lrp_file_writer_discard(&w);
}

/* Found by the flush of commit, or long before it. */
static void test_writer_on_full_disk(void **state) {
  const char *path = temp_text("stream", "old");
  (void)state;

  for (int pieces = 1; pieces <= 100000; pieces += 99999) {
    lrp_file_writer w;
    assert_int_equal(symlink("/dev/full", temp_path("stream.partial")), 0);
    check_ok(lrp_file_writer_open(&w, path));
    for (int i = 0; i < pieces; i++) fprintf(w.stream, "%d\n", i);
    assert_failure(lrp_file_writer_commit(&w), LRP_ERR_IO, "stream.partial");
    assert_content(path, "old");
    assert_int_equal(access(temp_path("stream.partial"), F_OK), -1);
  }
}

static void assert_directory(const char *path) {
  struct stat s;
  assert_int_equal(stat(path, &s), 0);
  assert_true(S_ISDIR(s.st_mode));
}

static void test_make_directory(void **state) {
  (void)state;
  check_ok(lrp_make_directory(temp_path("d1/d2//d3/")));
  assert_directory(temp_path("d1/d2/d3"));
  check_ok(lrp_make_directory(temp_path("d1/d2/d3")));
  check_ok(lrp_make_directory("/"));
  check_ok(lrp_make_directory("."));
  assert_int_equal(symlink("d1", temp_path("link")), 0);
  check_ok(lrp_make_directory(temp_path("link/d4")));
  assert_directory(temp_path("d1/d4"));
}

static void test_make_directory_failures(void **state) {
  const char *file = temp_text("in-the-way", "x");
  (void)state;

  assert_failure(lrp_make_directory(file), LRP_ERR_CREATE, "in-the-way");
  assert_failure(lrp_make_directory(temp_path("in-the-way/a/b")), LRP_ERR_CREATE, "in-the-way");
  assert_failure(lrp_make_directory(""), LRP_ERR_CREATE, "cannot create");
  assert_int_equal(symlink("gone", temp_path("broken")), 0);
  assert_failure(lrp_make_directory(temp_path("broken")), LRP_ERR_CREATE, "broken");
  /* EPERM for root, EACCES for others, EROFS where it is mounted read-only. */
  assert_failure(lrp_make_directory("/sys/lrp-test"), LRP_ERR_PERM, "/sys/lrp-test");
}

static void assert_hash(const char *path, uint64_t expected, int64_t bytes) {
  uint64_t hash;
  int64_t size;
  check_ok(lrp_file_hash(path, &hash, &size));
  assert_true(hash == expected);
  assert_int_equal(size, bytes);
}

static void test_hash(void **state) {
  const size_t mib = 1 << 20;
  const size_t sizes[] = {mib - 1, mib, mib + 1, 3 * mib + 7}; /* around the buffer */
  char *data = malloc(4 * mib);
  (void)state;

  assert_hash(temp_text("h", ""), 0x2d06800538d394c2u, 0); /* as xxhsum -H3 prints them */
  assert_hash(temp_text("h", "abc"), 0x78af5f94892f3950u, 3);
  assert_non_null(data);
  for (size_t i = 0; i < 4 * mib; i++) data[i] = (char)(i * 2654435761u >> 13);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_hash(temp_write("h", data, sizes[i]), XXH3_64bits(data, sizes[i]), (int64_t)sizes[i]);
  }
  free(data);
}

static void test_hash_failures(void **state) {
  uint64_t hash;
  int64_t size;
  (void)state;
  assert_failure(lrp_file_hash(temp_path("none"), &hash, &size), LRP_ERR_ABSENT, "none");
  assert_failure(lrp_file_hash(temp_dir, &hash, &size), LRP_ERR_DATA, "regular");
}

/* A file that is changed in place, with its modification time put back. */
static void test_stamp(void **state) {
  const char *path = temp_write("stamped", "abc", 3);
  const struct timespec soon = {.tv_nsec = 20000000}; /* coarser than the clocks of file systems */
  lrp_file_stamp a, b;
  struct stat s;
  (void)state;

  check_ok(lrp_file_stamp_read(path, &a));
  const int fd = open(path, O_RDWR);
  assert_true(fd >= 0);
  check_ok(lrp_file_stamp_take(fd, path, &b));
  assert_true(lrp_file_stamp_equal(&a, &b));
  assert_int_equal(a.size, 3);
  assert_int_equal(fstat(fd, &s), 0);
  nanosleep(&soon, NULL);
  assert_int_equal(pwrite(fd, "x", 1, 1), 1);
  const struct timespec times[2] = {s.st_atim, s.st_mtim};
  assert_int_equal(futimens(fd, times), 0);
  close(fd);
  check_ok(lrp_file_stamp_read(path, &b));
  assert_int_equal(b.mtime_ns, a.mtime_ns);
  assert_false(lrp_file_stamp_equal(&a, &b));
  assert_failure(lrp_file_stamp_read(temp_path("nothing"), &b), LRP_ERR_ABSENT, "nothing");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_path_join),
      cmocka_unit_test(test_exists),
      cmocka_unit_test(test_read),
      cmocka_unit_test(test_read_failures),
      cmocka_unit_test(test_read_without_size),
      cmocka_unit_test(test_write),
      cmocka_unit_test(test_write_relative),
      cmocka_unit_test(test_write_failures),
      cmocka_unit_test(test_write_on_full_disk),
      cmocka_unit_test(test_writer),
      cmocka_unit_test(test_writer_on_full_disk),
      cmocka_unit_test(test_make_directory),
      cmocka_unit_test(test_make_directory_failures),
      cmocka_unit_test(test_hash),
      cmocka_unit_test(test_hash_failures),
      cmocka_unit_test(test_stamp),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
