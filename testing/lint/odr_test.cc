// The test passes if this program links; see odr.bzl.
#include "gtest/gtest.h"

TEST(Odr, TwoFilesThatIncludeEverythingLink) {}
