-module(word_count).
-export([main/0]).

main() ->
    Words = [["word", integer_to_list(I * I rem 4099)] || I <- lists:seq(0, 999)],
    Part = iolist_to_binary(lists:join(" ", Words)),
    Text = iolist_to_binary(lists:join(" ", lists:duplicate(100, Part))),
    Add = fun(Word, Counts) -> maps:update_with(Word, fun(N) -> N + 1 end, 1, Counts) end,
    Counts = lists:foldl(Add, #{}, binary:split(Text, <<" ">>, [global])),
    1000 * lists:max(maps:values(Counts)) + map_size(Counts).
