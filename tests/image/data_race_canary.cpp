// SPDX-License-Identifier: Apache-2.0
// Holds a data race on purpose. Where the thread sanitizer does not report it, its silence about
// the stress test means nothing.
#include <thread>

namespace {

int counter = 0;

void count() {
  for (int i = 0; i < 1000; ++i) {
    ++counter;
  }
}

}  // namespace

int main() {
  std::thread other(count);
  count();
  other.join();
  return counter > 0 ? 0 : 1;
}
