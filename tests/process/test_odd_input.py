"""Damaged and odd input: each a record, a dead letter, a failed source or a clear error; never a silent loss."""

import gzip
import json
import os
import socket
import struct
import subprocess
import unittest

from harness import Case, lines

GOOD = b'{"n":1}\n'


def zstd(content, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=content, stdout=subprocess.PIPE, check=True).stdout


class OddRecords(Case):
    """Each case: the middle line of three. `reason` None: it is kept, byte for byte."""

    def check(self, middle, reason=None, steps=None, expect=None):
        self.write("in.jsonl", GOOD + middle + b"\n" + GOOD)
        self.pipeline(steps=steps)
        run = self.run_pipeline()
        if reason is None:
            self.assertEqual(run.output(), GOOD + (middle if expect is None else expect) + b"\n" + GOOD)
            self.assertEqual(run.counts(), (3, 3, 0, 0))
            self.assertEqual(run.dead(), [])
        else:
            self.assertEqual(run.output(), GOOD + GOOD)
            self.assertEqual(run.counts(), (3, 2, 0, 1))
            (letter,) = run.dead()
            self.assertIn(reason, letter["reason"])
            self.assertEqual((letter["line"], letter["offset"]), (2, len(GOOD)))
            self.assertEqual(letter["source"], str(self.folder / "in.jsonl"))
        return run

    def test_truncated_object(self):
        self.check(b'{"a":1', "expected ',' or '}'")

    def test_unclosed_string(self):
        self.check(b'{"a":"b', "never closed")

    def test_lone_quote_does_not_swallow_the_next_line(self):
        self.check(b'"', "never closed")

    def test_trailing_garbage(self):
        self.check(b'{"a":1}x', "expected the end of the record")

    def test_two_values_on_a_line(self):
        self.check(b'{"a":1} {"b":2}', "expected the end of the record")

    def test_trailing_comma(self):
        self.check(b'{"a":1,}', "expected a key")

    def test_single_quotes(self):
        self.check(b"{'a':1}", "expected a key")

    def test_nan(self):
        self.check(b'{"a":NaN}', "expected a value")

    def test_leading_zero(self):
        self.check(b'{"a":01}', "expected the end of a value")

    def test_nul_bytes(self):
        self.check(b"\0\0\0\0", "expected a value")

    def test_nul_in_a_string(self):
        self.check(b'{"a":"\0"}', "control character")

    def test_raw_tab_in_a_string(self):
        self.check(b'{"a":"\t"}', "control character")

    def test_invalid_utf8_is_kept_as_base64(self):
        run = self.check(b'{"a":"\xff\xfe"}', "not valid UTF-8")
        self.assertIn("record_base64", run.dead()[0])

    def test_overlong_utf8(self):
        self.check(b'{"a":"\xc0\x80"}', "not valid UTF-8")

    def test_utf8_surrogate(self):
        self.check(b'{"a":"\xed\xa0\x80"}', "not valid UTF-8")

    def test_utf8_cut_at_the_end_of_the_line(self):
        self.check(b'{"a":"\xe2\x82', "not valid UTF-8")

    def test_lone_high_surrogate(self):
        self.check(b'{"a":"\\ud83d"}', "surrogate")

    def test_lone_low_surrogate(self):
        self.check(b'{"a":"\\ude00"}', "surrogate")

    def test_bad_escape(self):
        self.check(b'{"a":"\\x41"}', "not a valid escape")

    def test_nesting_of_10000_levels(self):
        self.check(b"[" * 10_000 + b"]" * 10_000, "nested deeper than 1024")

    def test_10000_open_brackets(self):
        self.check(b'{"a":' * 10_000, "nested deeper than 1024")

    def test_nesting_of_1000_levels_passes(self):
        self.check(b"[" * 1000 + b"]" * 1000)

    def test_integers_beyond_64_bits_pass(self):
        self.check(b'{"a":123456789012345678901234567890,"b":-9223372036854775809}')

    def test_any_number_text_passes(self):
        self.check(b'{"a":1.0,"b":1e400,"c":-0,"d":0.10000000000000000000000001,"e":1E+2}')

    def test_key_of_a_megabyte_passes(self):
        self.check(b'{"' + b"k" * (1 << 20) + b'":1}')

    def test_duplicate_keys_pass(self):
        self.check(b'{"a":1,"a":2}')

    def test_duplicate_keys_first_counts_and_drop_removes_all(self):
        self.check(b'{"a":1,"b":0,"a":2}', steps=[{"drop": ["/a"]}], expect=b'{"b":0}')

    def test_escaped_keys_compare_decoded(self):
        self.check(b'{"\\u0061":1,"b":2}', steps=[{"drop": ["/a"]}], expect=b'{"b":2}')

    def test_blanks_are_kept(self):
        self.check(b' { "a" : [ 1 , 2 ] } \t')

    def test_carriage_return_is_white_space(self):
        self.check(b'{"a":1}\r')

    def test_line_separators_of_unicode_are_no_newlines(self):
        self.check('{"a":"\u2028\u2029\u0085"}'.encode())

    def test_top_level_scalars_pass_the_filter(self):
        for scalar in (b"1", b'"text"', b"null", b"true", b"[1,2]"):
            with self.subTest(scalar=scalar):
                self.check(scalar)

    def test_top_level_scalar_is_a_dead_letter_at_the_first_step(self):
        self.check(b"[1,2]", "object", steps=[{"drop": ["/a"]}])

    def test_empty_object_and_empty_key(self):
        self.check(b'{"":{}}')


class OddFiles(Case):
    def files(self, contents, code=0, paths="in/*", **more):
        for name, content in contents.items():
            self.write("in/" + name, content)
        self.pipeline(paths=paths, **more)
        return self.run_pipeline(code=code)

    def assertFailed(self, run, name, reason):
        (failed,) = run.summary["sources"]["failed"]
        self.assertEqual(failed["path"], str(self.folder / "in" / name))
        self.assertIn(reason, failed["reason"])
        self.assertIn(name, run.stderr)

    def test_empty_file(self):
        run = self.files({"a.jsonl": b""})
        self.assertEqual(run.output(), b"")
        self.assertEqual(run.counts(), (0, 0, 0, 0))

    def test_only_blank_lines(self):
        run = self.files({"a.jsonl": b"\n \n\r\n\t\n"})
        self.assertEqual((run.output(), run.counts()), (b"", (0, 0, 0, 0)))

    def test_blank_lines_are_no_records_but_count_as_lines(self):
        run = self.files({"a.jsonl": b"\n" + GOOD + b"\r\n\nbad\n"})
        self.assertEqual((run.output(), run.counts()), (GOOD, (2, 1, 0, 1)))
        self.assertEqual(run.dead()[0]["line"], 5)
        self.assertEqual(run.dead()[0]["offset"], 1 + len(GOOD) + 3)

    def test_last_line_without_newline_gets_one(self):
        run = self.files({"a.jsonl": b'{"a":1}\n{"b":2}'})
        self.assertEqual(run.output(), b'{"a":1}\n{"b":2}\n')

    def test_byte_order_mark(self):
        run = self.files({"a.jsonl": b"\xef\xbb\xbf" + GOOD + b"bad\n"})
        self.assertEqual(run.output(), GOOD)
        self.assertEqual(run.dead()[0]["offset"], 3 + len(GOOD))

    def test_crlf_stays(self):
        run = self.files({"a.jsonl": b'{"a":1}\r\n{"b":2}\r\n'})
        self.assertEqual(run.output(), b'{"a":1}\r\n{"b":2}\r\n')

    def test_files_in_path_order(self):
        run = self.files({"b.jsonl": b"2\n", "a/z.jsonl": b"1\n", "c.jsonl": b"3\n"}, paths="in/**/*.jsonl")
        self.assertEqual(run.output(), b"1\n2\n3\n")

    def test_line_over_max_record_is_a_reference(self):
        long = b'{"a":"' + b"x" * 5000 + b'"}'
        run = self.files({"a.jsonl": GOOD + long + b"\n" + GOOD}, source={"max_record": "1KiB"})
        self.assertEqual((run.output(), run.counts()), (GOOD + GOOD, (3, 2, 0, 1)))
        (letter,) = run.dead()
        self.assertEqual((letter["line"], letter["offset"], letter["length"]), (2, len(GOOD), len(long)))
        self.assertNotIn("record", letter)
        self.assertIn("max_record", letter["reason"])

    def test_line_longer_than_a_batch_passes(self):
        long = b'{"a":"' + b"x" * 3_000_000 + b'"}\n'
        run = self.files({"a.jsonl": GOOD + long + GOOD})
        self.assertEqual(run.output(), GOOD + long + GOOD)

    def test_truncated_zst(self):
        whole = lines({"n": n, "text": os.urandom(50).hex()} for n in range(5000))
        packed = zstd(whole)
        run = self.files({"a.zst": packed[: len(packed) // 2], "b.jsonl": GOOD}, code=74)
        self.assertFailed(run, "a.zst", "ends")
        got = run.output()
        self.assertTrue(got.endswith(GOOD) and whole.startswith(got[: -len(GOOD)]))
        self.assertGreater(len(got), len(whole) // 4)

    def test_garbage_between_zst_frames(self):
        run = self.files({"a.zst": zstd(GOOD) + b"garbage!" + zstd(GOOD)}, code=74)
        self.assertEqual(run.output(), GOOD)
        self.assertFailed(run, "a.zst", str(len(zstd(GOOD))))

    def test_flipped_bit_in_zst(self):
        whole = lines({"n": n, "text": os.urandom(50).hex()} for n in range(20_000))
        packed = bytearray(zstd(whole))
        packed[len(packed) // 2] ^= 0x10
        run = self.files({"a.zst": bytes(packed)}, code=74)
        self.assertEqual(len(run.summary["sources"]["failed"]), 1)

    def test_many_zst_frames_and_skippable_frames(self):
        skippable = struct.pack("<II", 0x184D2A50, 5) + b"hello"
        packed = skippable + b"".join(zstd(b'{"n":%d}\n' % n) + skippable for n in range(200))
        run = self.files({"a.zst": packed})
        self.assertEqual(run.output(), b"".join(b'{"n":%d}\n' % n for n in range(200)))

    def test_record_across_zst_frames(self):
        run = self.files({"a.zst": zstd(b'{"a":') + zstd(b"1}\n{}") + zstd(b"\n")})
        self.assertEqual(run.output(), b'{"a":1}\n{}\n')

    def test_zst_window_over_the_limit_names_the_key(self):
        packed = zstd(os.urandom(4_000_000).hex().encode() + b"\n", "--long=27", "-19")
        run = self.files({"a.zst": packed}, code=74, limits={"zstd_window": "1MiB"})
        self.assertFailed(run, "a.zst", "limits.zstd_window")

    def test_zst_by_magic_not_by_name(self):
        run = self.files({"a.jsonl": zstd(GOOD), "b.zst": GOOD})
        self.assertEqual(run.output(), GOOD + GOOD)

    def test_gzip_members(self):
        run = self.files({"a.gz": gzip.compress(GOOD) + gzip.compress(GOOD)})
        self.assertEqual(run.output(), GOOD + GOOD)

    def test_truncated_gzip(self):
        whole = lines({"n": n, "text": os.urandom(50).hex()} for n in range(5000))
        packed = gzip.compress(whole)
        run = self.files({"a.gz": packed[: len(packed) // 2]}, code=74)
        self.assertFailed(run, "a.gz", "ends")
        self.assertTrue(whole.startswith(run.output()))

    def test_gzip_with_wrong_checksum(self):
        packed = bytearray(gzip.compress(GOOD * 100))
        packed[-8] ^= 1
        run = self.files({"a.gz": bytes(packed)}, code=74)
        self.assertEqual(len(run.summary["sources"]["failed"]), 1)

    def test_garbage_behind_gzip(self):
        run = self.files({"a.gz": gzip.compress(GOOD) + b"garbage"}, code=74)
        self.assertEqual(run.output(), GOOD)

    def test_folder_named_like_a_file(self):
        (self.folder / "in" / "x.jsonl").mkdir(parents=True)
        run = self.files({"a.jsonl": GOOD}, paths="in/*.jsonl")
        self.assertEqual(run.output(), GOOD)
        self.assertIn("x.jsonl", run.stderr)

    def test_symlink_loop(self):
        (self.folder / "in").mkdir()
        os.symlink("loop.jsonl", self.folder / "in" / "loop.jsonl")
        os.symlink("..", self.folder / "in" / "up")
        run = self.files({"a.jsonl": GOOD}, paths="in/**/*.jsonl")
        self.assertEqual(run.output(), GOOD)
        self.assertIn("loop.jsonl", run.stderr)

    def test_dangling_symlink(self):
        (self.folder / "in").mkdir()
        os.symlink("nowhere", self.folder / "in" / "gone.jsonl")
        run = self.files({"a.jsonl": GOOD})
        self.assertEqual(run.output(), GOOD)
        self.assertIn("gone.jsonl", run.stderr)

    def test_socket_and_fifo_are_left_out(self):
        (self.folder / "in").mkdir()
        os.mkfifo(self.folder / "in" / "pipe.jsonl")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.folder / "in" / "s.jsonl"))
            run = self.files({"a.jsonl": GOOD})
        self.assertEqual(run.output(), GOOD)

    def test_unfinished_names_are_ignored(self):
        run = self.files({"a.jsonl": GOOD, ".b.jsonl": b"x\n", "c.part": b"x\n", "d.tmp": b"x\n", "e.crdownload": b"x\n"})
        self.assertEqual((run.output(), run.counts()), (GOOD, (1, 1, 0, 0)))

    def test_unreadable_file_fails_and_the_others_go_on(self):
        self.write("in/b.jsonl", GOOD).chmod(0)
        self.write("in/a.jsonl", GOOD)
        self.pipeline(paths="in/*")
        launcher = ()
        if os.geteuid() == 0:  # root may read everything, unless it gives the capabilities for that away
            launcher = ("setpriv", "--bounding-set=-dac_override,-dac_read_search",
                        "--inh-caps=-dac_override,-dac_read_search")
        run = self.run_pipeline(code=74, launcher=launcher)
        self.assertEqual(run.output(), GOOD)
        self.assertFailed(run, "b.jsonl", "ermission")

    def test_no_match_is_66_and_names_the_glob(self):
        self.pipeline(paths="nothing/*.jsonl")
        run = self.run_pipeline(code=66)
        self.assertIn("nothing/*.jsonl", run.stderr)
        self.assertIsNone(run.output())

    def test_name_with_newline_and_quotes(self):
        run = self.files({'a"\n\t.jsonl': b"bad\n"})
        self.assertEqual(run.dead()[0]["source"], str(self.folder / "in" / 'a"\n\t.jsonl'))

    def test_strict_is_65_when_records_are_dead(self):
        self.write("in.jsonl", GOOD + b"bad\n")
        self.pipeline()
        run = self.run_pipeline(None, "--strict", code=65)
        self.assertEqual(run.output(), GOOD)


if __name__ == "__main__":
    unittest.main(verbosity=2)
