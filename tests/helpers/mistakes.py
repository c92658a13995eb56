"""Mistakes that a user makes, by program: flags, and after a bar what the one line that they get has in it.

``{NAME}`` is a file or folder that tests/scripts/test_mistakes.py makes.
"""

SIZES = "--embed_size 4 --hidden_size 4 --batch_size 2 --epochs 1 --num_microbatches 2"
CORPUS = " ".join(f"--{split}_{side} {{text}}" for split in ("train", "valid", "test") for side in ("src", "tgt"))
TRANSLATION = f"--vocab_size 40 {SIZES} --encoder_layers 1 --decoder_layers 1 --beam_size 2 --cache_dir {{there}}/cache"
LANGUAGE = f"{SIZES} --bptt 2 --num_chunks 2 --sample_length 2"
RUN = f"{TRANSLATION} {CORPUS}"
TEXT = f"{LANGUAGE} --train_text {{text}} --valid_text {{text}} --test_text {{text}}"
SMALL = "--embed_size 4 --hidden_size 4 --batch_size 2 --encoder_layers 1 --decoder_layers 1 --contexts cpu(0)"
SERIES = "--num_series 2 --num_weeks 14 --hidden_size 4 --batch_size 48 --num_microbatches 2"
TONES = "--num_sounds 40 --hidden_size 4 --num_layers 1 --batch_size 4"

_EVERYWHERE = """
--nonsense 1 | unrecognized arguments: --nonsense 1
--threads_per_context x | 'x' is no whole number
--threads_per_context 1.5 | '1.5' is no whole number
--threads_per_context 9999999999 | '9999999999' is no
--threads_per_context 0 | threads_per_context must be at least 1, got 0
--threads_per_context 100000 | threads_per_context must be at most 1024, got 100000
--threads_per_context | argument --threads_per_context: expected one argument
--contexts '' | argument --contexts: '' is empty
--contexts 'cpu(0-' | cannot read 'cpu(0-'
--contexts 'cpu(1-0)' | runs backwards
--contexts 'cpu(0),cpu(0)' | name cpu(0) more than once
"""
_IN_TRAINING = """
--batch_size 0 | --batch_size must be at least 1, got 0
--epochs -1 | --epochs must be at least 1, got -1
--learning_rate nan | 'nan' is no number
--learning_rate 0 | --learning_rate must be positive, got 0.0
--learning_rate fast | 'fast' is no number
--num_microbatches 0 | --num_microbatches must be at least 1
--seed -1 | --seed must be at least 0, got -1
--seed 2147483648 | '2147483648' is no whole number below
--hidden_size 0 | hidden_size must be at least 1, got 0
--contexts 'gpu(77)' | need gpu(77)
--gpus '' | argument --gpus: '' is empty
--gpus 99 | need gpu(99)
--plan 9,9 | places 18 layers
--plan x | cannot read the plan 'x'
--plan '' | argument --plan: '' is empty
--contexts 'cpu(0-99)' | cannot fill 100 stages
--schedule fast | invalid choice: 'fast'
--output_dir '' | --output_dir: '' is empty
--output_dir {file} | {file}
--output_dir {file}/run | {file}/run
--output_dir {unnamed} | {unnamed} holds a training run;
--output_dir {there}/l\udce4uf | l\\udce4uf' is not valid UTF-8
"""
_IN_RUNS = """
--dropout 1 | dropout must be at least 0 and below 1, got 1.0
--dropout nan | 'nan' is no number
--embed_size 0 | embed_size must be at least 1, got 0
--clip_norm 0 | --clip_norm must be positive, got 0.0
--warmup_steps -1 | --warmup_steps must be at least 0, got -1
--log_interval 0 | --log_interval must be
--timeline_step -5 | --timeline_step must be at least 0, got -5
--dataset x | invalid choice: 'x'
--save_interval 0 | --save_interval must be at least 1, got 0
--resume | holds no run to go on with
--resume --output_dir {folder} | {folder} holds no run to go on with
--resume --output_dir {unnamed} | it has no options.json
--dataset numbers | would not be read: --dataset is numbers
"""

MISTAKES = [
    ("train_translation.py", RUN, _EVERYWHERE + _IN_TRAINING + _IN_RUNS + """
--train_src {nowhere} | {nowhere}: cannot be read (No such file
--train_src '' | --train_src: '' is empty
--train_src {folder} | {folder}: cannot be read (Is a directory
--valid_tgt {empty} | {empty}: the file is
--train_src {garbage} | {garbage}:1: not valid UTF-8 (byte 0xff)
--test_src {zip} | {zip}: broken gzip
--train_src {utf16} | {utf16}:1: a NUL character
--train_src {mac} | {mac}:1: a carriage return
--train_src /dev/zero | /dev/zero:1: more than 1048576 bytes in the line
--train_src {blank} --train_tgt {blank} | all 0 sentences are blank
--train_src {blank} | {blank} has 3 lines but {text} has 8
--vocab_size 0 | --vocab_size must be at least
--vocab_size 3 | vocab_size=3 does not suit
--max_length 0 | --max_length must be at least 1, got 0
--max_length 1 | at most max_length=1 subwords
--beam_size 0 | --beam_size must be at least 1, got 0
--lp_alpha nan | 'nan' is no number
--label_smoothing 1 | smoothing must be at least 0 and below 1, got 1
--encoder_layers 0 | encoder_layers must be at least 1
--decoder_layers -1 | decoder_layers must be at
--cache_dir {file} | {file}
--output_dir {translation} | {translation} holds a training run
--resume --output_dir {language} | {language}/options.json is of another program
--resume --output_dir {translation} --vocab_size 50 | --vocab_size was 40
--resume --output_dir {translation} --test_src {other} --test_tgt {other} | the text is not the one
--resume --output_dir {flipped} | model.params has other content than was saved
--resume --output_dir {parameters} | cannot read the checkpoint {parameters}
--resume --output_dir {listed} | cannot read {listed}
--learning_rate 1e38 --epochs 4 --max_bad_steps 1 | lower --learning_rate (now 1e+38)
--resume --output_dir {swapped} | is not the one that is learned from its text now
"""),
    ("train_translation.py", TRANSLATION, """
--train_src {text} | --dataset files needs --train_tgt, --valid_src
--dataset multi30k --data_dir {folder} | {folder}: missing train.en.gz
--dataset multi30k --src_lang fr | src_lang='fr'
--src_lang xx | src_lang='xx'
"""),
    ("train_language_model.py", TEXT, _EVERYWHERE + _IN_TRAINING + _IN_RUNS + """
--text {text} | --text is split by itself
--min_count 0 | --min_count must be at least 1, got 0
--num_layers 0 | num_layers must be at least 1
--bptt 0 | --bptt must be at least 1, got 0
--bptt 999 | fewer than --batch_size 2 x --bptt 999
--batch_size 99 | fewer than --batch_size 99 x
--num_chunks 0 | --num_chunks must be at least 1, got 0
--softmax_contexts 9 | from 1 to the 2 of
--softmax_contexts 0 | --softmax_contexts must be at least 1, got 0
--tied | they are one table
--units subwords --vocab_size 3 | vocab_size=3 does not suit
--units letters | invalid choice: 'letters'
--train_text {blank} | no line is left for the train text
--test_text {folder} | {folder}: cannot be read
--resume --output_dir {translation} | {translation}/options.json is of another program
"""),
    ("train_language_model.py", LANGUAGE, """
--text {empty} | {empty}: the file is empty
--text /dev/zero | /dev/zero:1: more than 1048576 bytes in the line
--train_text {text} | needs --valid_text, --test_text
--dataset tatoeba | --dataset tatoeba needs --data_dir
--dataset tatoeba --data_dir {folder} | {folder}: no deu.txt
--sample_length 0 | --sample_length must be
"""),
    ("translate.py", "--model {translation} --input {text}", _EVERYWHERE + """
--model {nowhere} | --model {nowhere} holds no checkpoint
--model {folder} | {folder} holds no checkpoint
--model {file} | --model {file} holds no checkpoint
--model {language} | holds a model of another kind
--model {parameters} | cannot read the checkpoint {parameters}
--model {lost} | cannot read the checkpoint
--model {listed} | cannot read {listed}
--model {flipped} | model.params has other content than was saved
--model {garbled} | subwords.model: no subword
--model {there}/l\udce4uf | is not valid UTF-8
--input {nowhere} | {nowhere}: cannot be read
--input {folder} | {folder}: cannot be read
--input {garbage} | {garbage}:1: not valid UTF-8
--input {empty} | {empty}: the file is empty
--input /dev/zero | /dev/zero:1: more than 1048576 bytes in the line
--errors ignore | invalid choice: 'ignore'
--output {nowhere}/x | {nowhere}/x
--output {folder} | {folder}
--beam_size 0 | --beam_size must be at least 1, got 0
--nbest 9 | --nbest must be from 1 to
--max_length 0 | max_length must be at least 1, got 0
--batch_size 0 | batch_size must be at least 1
--lp_alpha nan | 'nan' is no number
--contexts 'gpu(77)' | need gpu(77)
--plan 1 | places 1 layers
"""),
    ("generate_text.py", "--model {language}", _EVERYWHERE + """
--model {nowhere} | --model {nowhere} holds no checkpoint
--model {translation} | of another kind
--model {words} | words.json: no vocabulary
--length 0 | length must be at least 1, got 0
--num_samples -2 | num_samples must be at least 1, got -2
--temperature 0 | positive and finite, got 0.0
--temperature inf | positive and finite, got inf
--temperature nan | 'nan' is no number
--top_k -1 | top_k must be at least 0, got -1
--seed -1 | seed must be at least 0, got -1
--prompt \udce4 | --prompt '\\udce4' is not valid UTF-8
--softmax_contexts 2 | from 1 to the 1 of
--contexts 'gpu(77)' | need gpu(77)
--plan 1 | places 1 layers
"""),
    ("plan.py", f"{SMALL} --picture {{there}}/plan.png", _EVERYWHERE + """
--model x | invalid choice: 'x'
--vocab_size 0 | --vocab_size must be at least 1, got 0
--vocab_size 9999999999 | '9999999999' is no whole
--embed_size 0 | embed_size must be at least 1, got 0
--hidden_size -1 | hidden_size must be at least 1, got -1
--encoder_layers 0 | encoder_layers must be at
--seq_len 0 | --seq_len must be at least 1, got 0
--contexts 'cpu(0-99)' | cannot fill 100 stages
--memory_limit 0 | cannot read the size '0'
--memory_limit 1B | nothing fits
--link nan | size 'nan'
--schedule x | invalid choice: 'x'
--num_microbatches 0 | --num_microbatches must be at least 1
--num_microbatches 1,,2 | '' is no whole number
--num_microbatches 999 | --num_microbatches (999,)
--num_chunks 2 | --num_chunks: the translation model
--device x | --device x is not known
--model language_model --num_chunks 999 | --num_chunks (999,)
--softmax_contexts x | 'x' is no whole
--softmax_contexts 2 | --softmax_contexts splits
--profile {nowhere} | {nowhere}
--profile {garbage} | {garbage} is no profile
--profile {folder} | {folder}
--measure {nowhere}/x --num_microbatches 1 | {nowhere}/x
--measure x --profile x | leave out --measure
--measure x --contexts 'gpu(77)' | need gpu(77)
--picture {nowhere}/x.png | {nowhere}/x.png
--picture '' | --picture: '' is empty
--timeline {there}/x.odd | Format 'odd' is not supported
"""),
    ("benchmark", "plans --repeats 1 --hidden_size 4 --vocab_size 9 --seq_len 2 --batch_size 2", _EVERYWHERE + """
--batch_size 0 | --batch_size must be at least 1, got 0
--json {nowhere}/x | {nowhere}/x
--json {folder} | {folder}
--schedule x | invalid choice: 'x'
--contexts 'gpu(77)' | need gpu(77)
--num_microbatches 99 | cannot be cut into 99 parts
--picture {nowhere}/x --num_microbatches 1 | {nowhere}/x
"""),
    ("benchmark", "", """
 | the following arguments are required: COMMAND
nonsense | invalid choice: 'nonsense'
pipeline --batch_sizes x | 'x' is no whole number
pipeline --batch_sizes 12 | a batch of 12 rows cannot
pipeline --seq_len 7 | --seq_len 7 cannot be cut
pipeline --variants fast | --variants names 'fast'
pipeline --contexts 'gpu(77)' | need gpu(77)
pipeline --torch_python {garbage} | {garbage}
simulator --contexts 'cpu(0)' | for 4 layers and 2 contexts
softmax --vocab_size 0 | --vocab_size must be
softmax --vocab_size 1 --hidden_size 4 | 1 tokens cannot be split over 2 contexts
"""),
    ("examples/forecast_series", SERIES, _EVERYWHERE + _IN_TRAINING + """
--learning_rate 1e38 --epochs 4 | lower --learning_rate (now 1e+38)
--history 1 | --history must be at least 168, got 1
--horizon 0 | --horizon must be at least 1, got 0
--horizon 9999 | is shorter than a window
--num_weeks 1 | is shorter than a window
--num_series 0 | --num_series must be at least 1, got 0
--num_layers 0 | --num_layers must be at
"""),
    ("examples/recognize_tones", TONES, _EVERYWHERE + _IN_TRAINING + """
--learning_rate 1e38 --epochs 4 | lower --learning_rate (now 1e+38)
--num_sounds 9 | --num_sounds must be at least 10, got 9
--beam_size 0 | --beam_size must be at least 1
--num_layers 0 | --num_layers must be at least 1, got 0
"""),
]
"""Each program with flags that it would run with, and what is wrong with those added to them."""
