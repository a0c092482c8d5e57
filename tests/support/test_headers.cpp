// SPDX-License-Identifier: Apache-2.0
// CMake wants a source file where headers are precompiled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
