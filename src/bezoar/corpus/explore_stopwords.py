"""The commonest small words of some languages, put together for bezoar.

Articles, pronouns, prepositions, auxiliaries, question words: what no sentence does without, in
lower case. Of words of one Latin letter only the English ones are here: such a letter is often a
variable or a grade.
"""

from __future__ import annotations

STOPWORDS: dict[str, str] = {
    "English": (
        "the of and to a in is i you that it he was for on are as with his they at be this have "
        "from or had by not but what some we can out other were all there when up use your how "
        "said an each she which do their if will way about many then them would so these her him "
        "my me who its did get may any been i'm don't it's you're can't why because could should "
        "where does make tell give write explain"
    ),
    "German": (
        "der die und den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an "
        "werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so "
        "zum war haben nur oder aber vor zur bis mehr durch kann ich du wir ihr mich dir mir was "
        "wer wo warum kein keine wenn doch schon man sehr"
    ),
    "French": (
        "de la le et les des en un du une que est pour qui dans par plus pas au sur ne se ce il "
        "sont avec son elle aux ces cette mais comme on ou si leur nous vous je tu mon ma mes "
        "être été fait sans était c'est j'ai d'un d'une qu'il n'est pourquoi comment quand où "
        "très"
    ),
    "Spanish": (
        "de la que el en los se del las un por con no una su para es al lo como más pero sus le "
        "ya este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde "
        "todo nos durante todos uno les ni contra otros ese eso había ante ellos qué yo cómo está "
        "puedo tengo eres soy"
    ),
    "Portuguese": (
        "de que não do da em um para com uma os no se na por mais as dos como mas ao ele das seu "
        "sua ou quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo "
        "aos seus quem nas me esse eles você essa num nem suas meu às minha numa está são foi"
    ),
    "Italian": (
        "di che la il un per in una non si da sono con del le dei al come più ma della nel gli "
        "alla questo anche io ho lo se mi ci ha cosa tutto hai nella dal perché molto ancora "
        "quando dove chi sei siamo era suo sua delle degli tu noi loro"
    ),
    "Dutch": (
        "de van het een en in is dat op te zijn voor met die niet aan er om ook als dan maar bij "
        "of uit nog naar heeft hij ze wordt door over worden wat tot je ik deze kan geen wij meer "
        "hebben hoe waarom waar mijn jij"
    ),
    "Swedish": (
        "och att det som en på är av för med till den har de inte om ett han men var jag sig från "
        "vi så kan när man hon vad hur eller mycket också bara du mig dig mitt är ska skulle"
    ),
    "Danish": (
        "og at det er en den til på som med de for af ikke der var han et har jeg fra vi men kan "
        "så hvad hvordan også bare dig mig hvor eller blev skal meget ud"
    ),
    "Norwegian": (
        "og det er på til som en å har for av at med ikke den jeg de om vi han et men fra kan så "
        "hva hvordan også bare deg meg hvor eller ble skal mye ut noen"
    ),
    "Finnish": (
        "ja on ei se että oli hän mutta kun niin ovat mitä olen myös kuin jos tai sen ole minä "
        "sinä tämä siitä kanssa ollut joka mikä miten miksi vain jo nyt voi"
    ),
    "Polish": (
        "nie na się do to że jest jak po co ale od za tak czy przez dla są był ze tym już tylko "
        "go jego być może mnie mi ja ty dlaczego gdzie kiedy oraz które"
    ),
    "Czech": (
        "se na je že to do ale si ve jsem pro za by jak po jako tak co už jsou nebo které kde "
        "proč když není byl jeho mi ty já také být"
    ),
    "Hungarian": (
        "az és hogy nem is egy ez meg volt csak de mint már azt el ha még vagy én te ki mi van "
        "miért hogyan hol kell lesz minden nagyon"
    ),
    "Romanian": (
        "și de în la cu nu pe este un că din pentru mai ce să care sunt au dar se fost prin ca am "
        "sau cum unde când cine eu tu lui acest această"
    ),
    "Turkish": (
        "ve bir bu da de için ne çok ile ben gibi daha var kadar ama mi mı değil sen olarak ki en "
        "sonra neden nasıl nerede olan şey her beni seni benim yok"
    ),
    "Indonesian": (
        "yang dan di ini itu dengan untuk tidak dari dalam akan pada juga saya ke karena ada "
        "mereka kami kita bisa adalah oleh atau seperti sudah orang apa bagaimana anda aku kamu"
    ),
    "Vietnamese": (
        "và của là có không được cho một trong người với này các những đã để khi đến về như từ "
        "tôi bạn làm thế nào gì ở vì sao nhưng cũng"
    ),
    "Russian": (
        "и в не на что я с он как это а по но они мы к у вы из за от же так все то его ты для мне "
        "было она бы только есть когда был или если ещё меня уже где почему их чтобы до быть "
        "может нет очень"
    ),
    "Ukrainian": (
        "і в не на що я з він як це а по але вони ми до у ви із за від же так все то його ти для "
        "мені було вона щоб тільки є коли був або якщо ще мене вже де чому їх може немає дуже та "
        "й"
    ),
    "Bulgarian": (
        "и в не на че аз с той как това а по но те ние към вие от за са се да си ли е ще само "
        "когато беше или ако още мен вече къде защо има няма много"
    ),
    "Arabic": (
        "في من على إلى أن هذا هذه التي الذي لا ما كان عن مع كل هو هي هل كيف لماذا لكن أو أنا أنت "
        "ثم بعد قبل لم لن ذلك"
    ),
    "Persian": (
        "در به از که این را با است برای آن یک تا می هم من تو چه چرا چگونه ولی اما شما ما بود شد "
        "نیست هستم خود"
    ),
    "Urdu": (
        "کے کی میں ہے کا اور سے کو نے یہ پر ہیں کہ نہیں ایک کیا تھا آپ بھی وہ ہو لیے کیوں کیسے"
    ),
    "Hindi": ("के है में की का और से को ने यह पर हैं कि नहीं एक क्या था आप भी वह हो लिए क्यों कैसे मैं"),
    "Bengali": "এবং এই কি না আমি তুমি যে করে একটি থেকে জন্য সে তার কেন কিভাবে হয় আর আমার",
}
"""Language -> its small words, parted by blanks."""
