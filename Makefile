# For newcomers: each target installs what it needs on Debian 12, builds into build/, and does its job.
# The build itself is Meson's.

.PHONY: help build install dist test-package captures guide demo demo-failover test fuzz sim soak bench format lint clean

help:
	@echo 'make build    install what is needed to build, and build into build/'
	@echo 'make demo     build, and show an association between two unmodified programs'
	@echo 'make demo-failover   build, and show a transfer that goes on while a link is cut'
	@echo 'make test     install the peers too, build, and run all tests'
	@echo 'make sim SEEDS=100000   build, and simulate so many networks with all that can go wrong'
	@echo 'make fuzz SECONDS=60   build the fuzzers with clang, and run each of them so long'
	@echo 'make soak MINUTES=10   build with AddressSanitizer too, and wear out two stacks over a bad network'
	@echo 'make test-package   the part of make test that builds the Debian package and tries it in a fresh Debian 12, alone'
	@echo 'make bench    install the peers too, build, measure Braid beside them, and write docs/performance.md'
	@echo 'make captures run the examples, and keep their packets in docs/captures/'
	@echo 'make guide    build the guide as a site, in build/site/'
	@echo 'make install  build, and install below PREFIX (/usr/local), in DESTDIR'
	@echo 'make dist     the release: build/meson-dist/braid-VERSION.tar.xz'
	@echo 'make format   give every C file the form of .clang-format'
	@echo 'make lint     clang-format and clang-tidy, as a check'
	@echo 'make clean    remove build/'

build:
	@scripts/install-dependencies build
	@test -f build/build.ninja || meson setup build >/dev/null || (meson setup build; false)
	@ninja -C build --quiet

demo: build
	@scripts/demo

demo-failover:
	@scripts/install-dependencies demo
	@$(MAKE) --no-print-directory build
	@scripts/demo-failover

# What build/ was configured without, Meson looks for again.
test:
	@scripts/install-dependencies test
	@$(MAKE) --no-print-directory build
	@test -x build/tests/system/usrsctp_peer || \
		(meson configure build --clearcache && meson setup --reconfigure build >/dev/null && ninja -C build --quiet)
	@meson test -C build --no-rebuild --print-errorlogs
	@tests/api/check_table.py

sim: build
	@build/tests/sim/sim --seeds $(or $(SEEDS),100000) --first $(or $(FIRST),1) --processes $(or $(PROCESSES),2)

fuzz:
	@scripts/install-dependencies fuzz
	@tests/fuzz/run --seconds $(or $(SECONDS),60)

soak: build
	@scripts/install-dependencies test
	@test -f build-asan/build.ninja || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C build-asan --quiet braid
	@tests/system/soak.py --minutes $(or $(MINUTES),10) --stack-build build-asan

test-package:
	@scripts/install-dependencies package
	@scripts/check-package

bench:
	@scripts/install-dependencies test
	@$(MAKE) --no-print-directory build
	@bench/run --build build --json build/bench.json --docs docs

captures:
	@scripts/install-dependencies demo
	@$(MAKE) --no-print-directory build
	@scripts/captures

guide:
	@scripts/install-dependencies guide
	@$(MAKE) --no-print-directory build
	@mkdocs build --quiet --clean
	@echo 'the guide: build/site/index.html'

# The prefix is compiled in, but an installed tree may be moved.
install: build
	@test -z "$(PREFIX)" || (meson configure build --prefix "$(PREFIX)" && ninja -C build --quiet)
	@meson install -C build --no-rebuild --quiet

# What is committed. `make test` is for before; here the tests would be run a second time.
dist: build
	@meson dist -C build --no-tests

format:
	@scripts/install-dependencies lint
	@git ls-files '*.[ch]' | xargs clang-format -i

# Programs under tests/preload and tests/system do on purpose what clang-tidy warns of.
lint:
	@scripts/install-dependencies lint
	@$(MAKE) --no-print-directory build
	@git ls-files '*.[ch]' | xargs clang-format --dry-run -Werror
	@git ls-files 'src/*.c' 'bench/*.c' 'tests/*.c' ':!tests/preload' ':!tests/system' | xargs -P 2 -n 1 clang-tidy --quiet -p build

clean:
	@rm -rf build
