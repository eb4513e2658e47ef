#!/usr/bin/env python3
"""The house checks are tested themselves: each must catch a planted violation and accept what only looks like one."""

import tempfile
import unittest
from pathlib import Path

from house import House, blank_comments_and_literals


class HouseTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ostraka-house-")
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.house = House(self.root)

    def write(self, name: str, text: str):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def test_layers_accepts_own_and_lower_folders(self):
        self.write("object/a.cc", '#include <vector>\n#include "object/a.h"\n#include "net/service.h"\n#include "base/ids.h"\n')
        self.write("iam/a.cc", '#include "net/service.h"\n')
        self.write("tests/unit/base/a_test.cc", '#include "cmd/build_node.h"\n')
        self.assertEqual(self.house.layers(), [])

    def test_layers_refuses_upwards_and_sideways(self):
        self.write("disk/a.cc", '#include "base/ids.h"\n#include "erasure/codec.h"\n')
        self.write("erasure/a.h", '#include "cluster/placement.h"\n')
        self.write("cluster/a.h", '#include "erasure/codec.h"\n')
        self.write("base/a.h", '#include "tests/helper.h"\n')
        bad = "\n".join(self.house.layers())
        self.assertEqual(bad.count("\n"), 3, bad)
        self.assertIn("disk/a.cc:2:", bad)
        self.assertIn("erasure/a.h:1:", bad)
        self.assertIn("cluster/a.h:1:", bad)
        self.assertIn("base/a.h:1:", bad)

    def test_layers_wants_the_folder_in_the_include(self):
        self.write("disk/a.cc", '#include "drive.h"\n')
        self.assertIn("folder/file.h", self.house.layers()[0])

    def test_banned_calls_are_found(self):
        planted = [
            "std::thread t;", "auto t = std::chrono::steady_clock::now();", "int fd = ::open(path, O_RDONLY);",
            "int fd = open(path, flags | O_CREAT);", 'FILE* f = fopen("x", "r");', "std::ofstream out;", "std::random_device d;",
            "int n = rand();", "getrandom(p, 8, 0);", "auto n = ::time(nullptr);", "std::this_thread::sleep_for(1s);",
            "boost::asio::detached;", "std::mt19937 gen;",
        ]
        for i, line in enumerate(planted):
            self.write(f"disk/a{i:02}.cc", f"\n{line}\n")
        bad = self.house.banned_calls()
        self.assertEqual({line.split(":")[0] for line in bad}, {f"disk/a{i:02}.cc" for i in range(len(planted))})
        self.assertTrue(all(":2:" in line and "use " in line for line in bad), bad)

    def test_banned_calls_may_stand_in_runtime_comments_and_strings(self):
        self.write("runtime/a.cc", "std::thread t; auto n = std::chrono::steady_clock::now(); int fd = ::open(p, 0);\n")
        self.write("disk/a.cc", '// std::thread is not used\nauto s = "rand()"; /* fopen( */ auto t = R"(std::ofstream)";\n'
                                "auto f = fs.open(path, mode); auto x = timer.time(); int big = 1'000'000; int y = operand(3);\n"
                                "using T = std::chrono::steady_clock::time_point; auto g = LocalDrive::open(spec);\n")
        self.assertEqual(self.house.banned_calls(), [])

    def test_detached_is_banned_in_tests_too(self):
        self.write("tests/unit/base/a_test.cc", "co_spawn(e, f(), asio::detached);\n")
        self.assertEqual(len(self.house.banned_calls()), 1)

    def test_readmes_and_folder_names(self):
        self.write("disk/a.cc", "")
        self.write("net/README.md", "# net")
        self.write("net/utils/b.h", "")
        bad = self.house.readmes()
        self.assertEqual(len(bad), 2, bad)
        self.assertTrue(any("disk/" in line for line in bad) and any("utils" in line for line in bad))

    def test_file_sizes(self):
        self.write("disk/short.cc", "x\n" * 599)
        self.write("disk/long.cc", "x\n" * 600)
        self.write("disk/data.json", "x\n" * 5000)
        self.assertEqual([line.split(":")[0] for line in self.house.file_sizes()], ["disk/long.cc"])

    def test_blanking_keeps_lines(self):
        text = 'a /* b\nc */ "d" // e\nf'
        self.assertEqual(blank_comments_and_literals(text).split(), ["a", "f"])
        self.assertEqual(blank_comments_and_literals(text).count("\n"), 2)


if __name__ == "__main__":
    unittest.main()
