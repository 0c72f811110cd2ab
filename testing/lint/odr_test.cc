// That this links is the test: see odr.bzl.
#include "gtest/gtest.h"

TEST(Odr, TwoFilesThatIncludeEverythingLink) {}
