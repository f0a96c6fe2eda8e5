# fish completion for braid(1). Commands and options are those that --help tells, so there is no list to keep here.

# Each command, and what it is for.
function __braid_commands
	$argv[1] --help 2>/dev/null | string replace -rf '^  ([a-z]+)  +(.*)' '$1\t$2'
end

# The options of the command that was typed, and what is told of each; several may stand in a line.
function __braid_options
	set -l words (commandline -opc)
	$words[1] $words[2] --help 2>/dev/null | while read -l line
		string match -qr '^ *-' -- $line; or continue
		set -l told (string match -rg '^ *-.*?   *([^ ].*)$' -- $line)
		for option in (string match -ra '(?<=^|[ ,])--?[a-z][a-z0-9-]*' -- (string replace -r '^( *-.*?)   *[^ ].*$' '$1' -- $line))
			printf '%s\t%s\n' $option $told[1]
		end
	end
end

# Is the word before one of these options?
function __braid_after
	contains -- (commandline -opc)[-1] $argv
end

# Is the program of `braid run` still to come?
function __braid_program
	set -l words (commandline -opc)
	test (count $words) -ge 2 -a "$words[2]" = run; or return 1
	set -l help ($words[1] run --help 2>/dev/null | string collect)
	set -l taken 0
	for word in $words[3..]
		if test $taken = 1
			set taken 0
		else if not string match -q -- '-*' $word
			return 1
		else if string match -qr -- "\s$word [A-Z]" $help
			set taken 1
		end
	end
	test $taken = 0
end

function __braid_options_wanted
	string match -q -- '-*' (commandline -ct); and not __fish_use_subcommand; or return 1
	not __fish_seen_subcommand_from run; or __braid_program
end

# For captures, for what is written, and behind the program of `braid run`.
function __braid_files_wanted
	__braid_after -o --output --capture --log; and return
	__braid_after -i --interface; and return 1
	if __fish_seen_subcommand_from run
		not __braid_program
	else
		__fish_seen_subcommand_from dump ladder plot
	end
end

complete -c braid -f
complete -c braid -n __fish_use_subcommand -a '(__braid_commands (commandline -opc)[1])'
complete -c braid -n __fish_use_subcommand -a '--help --version'
complete -c braid -n '__braid_options_wanted' -a '(__braid_options)'
complete -c braid -n '__braid_files_wanted' -F
complete -c braid -n __braid_program -a '(__fish_complete_command)'
complete -c braid -n '__fish_seen_subcommand_from perf; and test (count (commandline -opc)) = 2' -a 'server client'
complete -c braid -n '__braid_after --only' -a 'setup latency throughput'
complete -c braid -n '__braid_after --from' -a 'first second'
complete -c braid -n '__braid_after -i --interface' -a 'any (command ls /sys/class/net)'
